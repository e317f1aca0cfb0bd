"""What clients do with the shares that they are told. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Shares = Mapping[str, int]
"""Per cent of the calls by revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTraffic:
    """The clients of one xDS control plane pod that ask for an LLMDeployment.

    Attributes:
        shares: as these clients are told; empty where pods are alike.
        streams: how many clients there are, and of these
        acknowledged: those that have accepted the shares.
        refusal: why one goes on with what it was told before; empty where none does.
    """

    shares: Shares = field(default_factory=dict)
    streams: int = 0
    acknowledged: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """All of them.

    Attributes:
        reports: one for each control plane pod; None for one that has not been heard.
        counted: requests that each revision's pods have taken in since all clients accepted the
            shares; None before that was so for long enough to count.
    """

    reports: tuple[ClientTraffic | None, ...] = ()
    counted: Mapping[str, int] | None = None

    @property
    def streams(self) -> int:
        """How many clients there are."""
        return sum(each.streams for each in self.reports if each is not None)

    @property
    def refusal(self) -> str:
        """Why a client refuses what it is told; empty where none does."""
        return next((each.refusal for each in self.reports if each and each.refusal), "")


def have_accepted(reports: Iterable[ClientTraffic | None], shares: Shares) -> bool:
    """Whether every control plane pod tells these shares and every client of each has accepted
    them. Without a control plane pod nobody knows."""
    there = tuple(reports)
    wanted = {revision: percent for revision, percent in shares.items() if percent}
    return bool(there) and all(
        each is not None and each.shares == wanted and each.acknowledged == each.streams
        for each in there
    )
