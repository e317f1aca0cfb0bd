"""What a pod carries in practice: the tokens it holds while requests wait although slots are free.

That is the knee of a server whose memory ends before its slots do. Where every slot is taken, the
slots are the limit and nothing is to be learned. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_operator.autoscale.observation import PodReport

OBSERVATIONS = 10
"""The newest distinct ones count."""

PATIENCE_SECONDS = 2.0
"""A request that has just come waits for the next step: that is no knee."""


@dataclass(frozen=True, slots=True)
class Knees:
    """Knees by revision."""

    seen: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Tokens held, the newest last."""
    blocked: Mapping[str, float] = field(default_factory=dict)
    """Since when requests wait beside free slots, by pod uid."""

    def of(self, revision: str) -> float | None:
        """Tokens that a pod of the revision carries, as seen; None where nothing was."""
        seen = self.seen.get(revision)
        return sum(seen) / len(seen) if seen else None

    def see(self, now: float, pods: tuple[PodReport, ...]) -> "Knees":
        """With what the pods report now. Revisions without a pod are forgotten."""
        blocked = {pod.uid: self.blocked.get(pod.uid, now) for pod in pods if _is_blocked(pod)}
        there = {pod.revision for pod in pods}
        seen = {r: tokens for r, tokens in self.seen.items() if r in there or not pods}
        for pod in pods:
            if pod.load and now - blocked.get(pod.uid, now) >= PATIENCE_SECONDS:
                seen[pod.revision] = _with(seen.get(pod.revision, ()), pod.load.tokens_held)
        return Knees(seen, blocked) if seen or blocked else _NOTHING


_NOTHING = Knees()


def _is_blocked(pod: PodReport) -> bool:
    load = pod.load
    return load is not None and load.waiting > 0 and 0 < load.running < load.slots


def _with(seen: tuple[int, ...], tokens: int) -> tuple[int, ...]:
    return seen if tokens in seen else (*seen, tokens)[-OBSERVATIONS:]
