"""Since when nobody wants anything: what scaling to zero goes by. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_operator.autoscale.demand import Load
from llm_operator.autoscale.observation import Observation


@dataclass(frozen=True, slots=True)
class Quiet:
    """Silence so far. Work that comes and goes between two looks moves a counter."""

    since: float | None = None
    """None before the first look."""
    received: Mapping[str, int] = field(default_factory=dict)
    """Requests that each pod has counted, by uid."""
    held_received: int = 0

    def see(self, observation: Observation, load: Load) -> "Quiet":
        """With what is reported now. Silence ends with any work, any counter that moved (one that
        starts again at zero too: what its process had is lost, not done), any pod that is
        ready and tells nothing, and while none is ready that should be."""
        received = {pod.uid: pod.load.received for pod in observation.pods if pod.load}
        known = self.received
        moved = observation.held_received != self.held_received or any(
            count != known.get(uid, 0) for uid, count in received.items()
        )
        is_deaf = load.missing or (observation.current and not load.ready)
        if self.since is None or moved or is_deaf or not load.is_nothing:
            return Quiet(observation.now, received, observation.held_received)
        if len(received) == len(known):
            return self
        return Quiet(self.since, received, observation.held_received)

    def seconds(self, now: float) -> float:
        """How long it has been silent."""
        return 0.0 if self.since is None else now - self.since
