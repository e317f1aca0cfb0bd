"""What comes in, and how much of a queue new pods are needed for. Pure.

While pods start, a queue grows by itself. Asking for a pod for each of its requests would bring
many times too many, and they come when it is over (control theory calls it windup). With enough
pods there would be as many requests as came in during the time that one takes (Little's law). What
has waited for longer is only to be cleared, and that may take a while.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from llm_operator.autoscale.demand import Load
from llm_operator.autoscale.observation import Observation
from llm_operator.autoscale.windows import Curve

CLEARING_SECONDS = 120.0
"""A queue should be gone so long after the pods that were asked for are ready: they stay for longer
than that anyway."""

SERVICE_ROOM = 1.25
"""Service times vary: so much longer than one, a request in the queue counts as just come."""

LEAST_SECONDS = 2.0
"""Beyond the short window, however short the service is: a burst is seen whole."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests that pods took in."""

    counted: Mapping[str, int | None] | None = None
    """Each pod's own count, by uid; None where it has not told it yet, or before the first look."""
    total: float = 0.0
    curve: Curve = field(default_factory=Curve)

    def see(self, observation: Observation, window: float) -> "Arrivals":
        """With the counts of now. A count that falls belongs to a new process and starts over."""
        known = self.counted
        counted = {pod.uid: pod.load.received if pod.load else None for pod in observation.pods}
        if known is None:
            return Arrivals(counted, 0.0, self.curve.see(observation.now, 0.0, window))
        total = self.total
        for uid, count in counted.items():
            before = known.get(uid, 0)
            if count is None:
                counted[uid] = before if uid in known else None
            elif before is not None and count > before:
                total += count - before
        return Arrivals(counted, total, self.curve.see(observation.now, total, window))

    def recent(self, now: float, window: float) -> float:
        """Requests of the last `window` seconds."""
        return self.total - self.curve.at(now - window)


class Worth(NamedTuple):
    """What the load is worth, counted in pods.

    needed: what new pods are needed for; a queue counts as far as it is new, and the rest as far as
    it has to be cleared in time. lasting: what will be there when the queue is gone.
    """

    needed: float
    lasting: float


def worth(load: Load, arrivals: Arrivals, now: float, brief: float) -> Worth:
    """Of a queue, what comes in lasts, and what has only to be cleared does not."""
    if not load.waiting:
        return Worth(load.pods, load.pods)
    new = _new(load, arrivals, now, brief)
    clearing = load.waiting * min(1.0, load.profile.service / CLEARING_SECONDS)
    return Worth(_pods(load, new + clearing), _pods(load, new))


def _new(load: Load, arrivals: Arrivals, now: float, brief: float) -> float:
    """Of the queue, what came in during the time that one request takes, beyond what runs."""
    service = load.profile.service
    if not load.ready or not service:
        return float(load.waiting)
    span = max(SERVICE_ROOM * service, brief + LEAST_SECONDS)
    return max(0.0, arrivals.recent(now, span) - load.running)


def _pods(load: Load, waiting: float) -> float:
    """The load in pods if only so many requests of the queue counted."""
    counted = load.running + load.held + min(float(load.waiting), waiting)
    return load.pods * counted / load.requests
