"""What a cluster showed, and when: wishes for pods and the lives of pods. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """An LLMDeployment at one moment (seconds since the epoch).

    wanted: what the autoscaler wants; None before it has decided. pods: all that are there, those
    that drain included.
    """

    at: float
    wanted: int | None
    ready: int
    pods: int = 0

    @classmethod
    def of(cls, item: dict[str, Any], at: float) -> "Sample":
        """Reads an object as the API server gives it."""
        status = item.get("status") or {}
        wanted = (status.get("autoscaling") or {}).get("desiredReplicas")
        return cls(at, wanted, status.get("readyReplicas") or 0, status.get("replicas") or 0)


@dataclass(frozen=True, slots=True)
class Transitions:
    """How often the number of wanted pods changed; one to zero is no `down`."""

    up: int = 0
    down: int = 0
    zero: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.up + self.down + self.zero


def transitions(samples: Iterable[Sample]) -> Transitions:
    """Changes of the wish, in any order of sizes."""
    wishes = [sample.wanted for sample in samples if sample.wanted is not None]
    changes = [(before, after) for before, after in pairwise(wishes) if before != after]
    return Transitions(
        up=sum(after > before for before, after in changes),
        down=sum(0 < after < before for before, after in changes),
        zero=sum(after == 0 for _, after in changes),
    )


def reached(samples: Iterable[Sample], wanted: int, since: float) -> float | None:
    """Seconds from `since` until so many pods were wanted; None if they never were."""
    times = (s.at for s in samples if s.at >= since and (s.wanted or 0) >= wanted)
    return next((at - since for at in times), None)


def most_wanted(samples: Sequence[Sample], since: float, until: float) -> int:
    """The largest wish of a span; one from before counts while it lasts."""
    before = [s.wanted or 0 for s in samples if s.at <= since][-1:]
    return max([*before, *(s.wanted or 0 for s in samples if since < s.at <= until)], default=0)


@dataclass(frozen=True, slots=True)
class PodLife:
    """When a pod was first seen, seen scheduled, and seen ready (seconds since the epoch)."""

    name: str
    created: float
    scheduled: float | None = None
    ready: float | None = None

    def at(self, item: Any, now: float) -> "PodLife":
        """The life with what another look at the pod shows."""
        conditions = {c.type for c in item.status.conditions or [] if c.status == "True"}
        scheduled = self.scheduled or (now if "PodScheduled" in conditions else None)
        ready = self.ready or (now if "Ready" in conditions else None)
        return PodLife(self.name, self.created, scheduled, ready)


@dataclass(frozen=True, slots=True)
class Activation:
    """One call to an LLMDeployment at zero (seconds since the epoch); `warm` is what a later call's
    first token takes."""

    asked: float
    scaled_up: float
    """The Deployment was given a pod."""
    routable: float
    """The pod had started, and was an endpoint of the Service."""
    answered: float
    """The first token."""
    warm: float

    @property
    def start(self) -> float:
        """The pod's own start, as after a `kubectl scale`."""
        return self.routable - self.scaled_up

    @property
    def added(self) -> float:
        """What activator and operator add to that."""
        return self.answered - self.asked - self.start - self.warm


def first_after(times: Iterable[float], moment: float) -> float | None:
    """The first of these times that is not before the moment."""
    return min((at for at in times if at >= moment), default=None)


def line_time(log: str, words: str) -> float | None:
    """When a container printed the first line with these words.

    log: `kubectl logs --timestamps`. Returns seconds since the epoch.
    """
    lines = (line.partition(" ") for line in log.splitlines())
    stamps = (stamp for stamp, _, text in lines if words in text)
    return next((datetime.fromisoformat(stamp).timestamp() for stamp in stamps), None)


def last_line_time(log: str) -> float | None:
    """When a container printed its last line."""
    lines = log.splitlines()
    return line_time(lines[-1], "") if lines else None


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The parts of a pod's start, in seconds, one after the other."""

    schedule: float
    prepare: float
    """Sandbox, image, start of the fetching process."""
    fetch: float
    begin: float
    """Start of the serving process; verifies and reads the artifact."""
    load: float
    """The model into memory."""
    warm_up: float
    """The first step."""
    notice: float
    """Until the kubelet's probes have told of readiness."""

    @classmethod
    def of(cls, life: PodLife, fetch_log: str, runtime_log: str) -> "ColdStart | None":
        """Reads the parts off a watch and two logs; None where one of the moments is missing."""
        moments = [
            life.created,
            life.scheduled,
            line_time(fetch_log, "fetch: started"),
            last_line_time(fetch_log),
            line_time(runtime_log, '"Planned the memory"'),
            line_time(runtime_log, '"Loaded the model"'),
            line_time(runtime_log, '"SERVING"'),
            life.ready,
        ]
        known = [moment for moment in moments if moment is not None]
        if len(known) < len(moments):
            return None
        return cls(*(after - before for before, after in pairwise(known)))
