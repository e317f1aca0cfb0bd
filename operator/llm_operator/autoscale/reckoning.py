"""All pods' requests as of one moment, whatever the age of what they say. Pure.

A pod tells its load at most twice a second, and later the busier it is. Requests that move from a
full pod to a new one would be counted in both until the full one speaks again. Two things are known
of a message besides its counts: when they were true, and the exact sum of requests over time until
then. So pods are looked at as of the last moment of which every busy one has told. From there on
what they had then is taken to hold, until the next look puts right what was taken of that time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from llm_operator.autoscale.demand import MOST_WAITING, is_credible
from llm_operator.autoscale.observation import Observation, PodReport
from llm_operator.autoscale.signals import PodLoad

LONGEST_LAG_SECONDS = 1.0
"""A pod that changes speaks twice a second. One that is later than that holds nobody up: what it
said last is taken to hold."""

SLACK_SECONDS = 15.0
"""A stream that is silent for so long has ended: beyond it a pod's clock goes with ours."""

MOST_WORDS = 8
"""Of a pod, as many as may come within that time, changes of its state included."""


class Word(NamedTuple):
    """A message of a pod."""

    load: PodLoad
    told: float
    """Request-seconds since the first message that was seen."""


class Point(NamedTuple):
    """A pod at the moment of a look."""

    seconds: float
    """By its own clock."""
    requests: float
    total: float
    """Request-seconds since the first message that was seen."""


@dataclass(frozen=True, slots=True)
class Track:
    """One pod's latest messages, the newest last, and where it was at the last look."""

    words: tuple[Word, ...]
    last: Point | None = None

    @classmethod
    def heard(cls, known: "Track | None", load: PodLoad, elapsed: float) -> "Track":
        """With a message, which may be known already, so many seconds after the last look. Another
        process starts over."""
        if known is None or not _goes_on(known.words[-1].load, load):
            return cls((Word(load, 0.0),))
        newest = known.words[-1]
        if load.at_seconds == newest.load.at_seconds:
            return known
        told = newest.told + _between(newest.load, load, elapsed + SLACK_SECONDS)
        return cls((*known.words[1 - MOST_WORDS :], Word(load, told)), known.last)

    def at(self, seconds: float) -> Point:
        """At that moment of the pod's clock: between two messages on the way from one to the other,
        beyond them as the nearest says. Who was silent for longer had nothing else to tell."""
        for before, after in pairwise(self.words):
            start, end = before.load.at_seconds, after.load.at_seconds
            if start <= seconds < end:
                share = (seconds - start) / (end - start)
                change = after.load.requests - before.load.requests
                moved = share * change if end - start <= LONGEST_LAG_SECONDS else 0.0
                told = before.told + (after.told - before.told) * share
                return Point(seconds, before.load.requests + moved, told)
        nearest = self.words[0] if seconds < self.words[0].load.at_seconds else self.words[-1]
        beyond = seconds - nearest.load.at_seconds
        requests = nearest.load.requests
        return Point(seconds, requests, nearest.told + requests * beyond)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The pods of one LLMDeployment at a look."""

    now: float = 0.0
    moment: float = 0.0
    """The last of which every busy pod had told, in seconds since the epoch."""
    missed: float = 0.0
    """Request-seconds between the last look's moment and this one's, beyond those of the requests
    of that moment; below 0 where there were fewer."""
    moved: float = 0.0
    """Requests of this moment beyond those of the newest messages; below 0 where there were fewer.
    """
    tracks: Mapping[str, Track] = field(default_factory=dict)
    """By uid, of the pods that tell times."""

    def see(self, observation: Observation) -> "Reckoning":
        """With what pods say now."""
        moment = max(self.moment, _told_until(observation))
        tracks, missed, moved = {}, 0.0, 0.0
        for pod in observation.pods:
            if pod.load is None or not pod.load.at_seconds or not is_credible(pod.load):
                continue
            track = Track.heard(self.tracks.get(pod.uid), pod.load, observation.now - self.now)
            before = track.last
            point = track.at(pod.load.at_seconds + pod.age - (observation.now - moment))
            if before is not None:
                # By the pod's clock, which makes no steps where ours is set anew.
                passed = point.seconds - before.seconds
                missed += point.total - before.total - before.requests * passed
            moved += point.requests - pod.load.requests
            tracks[pod.uid] = Track(track.words, point)
        return Reckoning(observation.now, moment, missed, moved, tracks)


def _told_until(observation: Observation) -> float:
    """The last moment of which every busy pod has told. The first request of an idle one is told at
    once."""
    ages = (pod.age for pod in observation.pods if _is_busy(pod))
    return observation.now - min(max(ages, default=0.0), LONGEST_LAG_SECONDS)


def _is_busy(pod: PodReport) -> bool:
    return pod.load is not None and pod.load.at_seconds > 0 and pod.load.requests > 0


def _goes_on(before: PodLoad, after: PodLoad) -> bool:
    """Whether one process has said both."""
    return after.at_seconds >= before.at_seconds and after.received >= before.received


def _between(before: PodLoad, after: PodLoad, longest: float) -> float:
    """Request-seconds between two messages, which are `longest` apart at most; never more than
    there could have been."""
    most = min(before.requests + after.received - before.received, after.slots + MOST_WAITING)
    limit = most * min(after.at_seconds - before.at_seconds, longest)
    return min(max(0.0, after.request_seconds - before.request_seconds), limit)
