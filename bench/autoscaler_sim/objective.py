"""What users were promised (a service level objective), and whether a request got it."""

from dataclasses import dataclass

from bench.autoscaler_sim.request import Request


@dataclass(frozen=True, slots=True)
class Objective:
    """Limits in seconds."""

    first_token: float = 2.0
    """A prompt of the median length takes 0.1 s on a pod with a free slot: the rest is waiting."""
    inter_token: float = 0.05
    """On average over an answer. A full batch steps every 0.032 s, or 0.064 s beside a prompt."""

    def is_late(self, request: Request) -> bool:
        """The first token came too late, or never."""
        return request.answered is None or request.answered > self.first_token

    def is_slow(self, request: Request) -> bool:
        """The tokens came too slowly one after another."""
        return request.inter_token is not None and request.inter_token > self.inter_token

    def is_violated(self, request: Request) -> bool:
        """Late, slow or lost."""
        return request.is_lost or self.is_late(request) or self.is_slow(request)
