"""What a client's answers say about shares over time. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

DRAWS = 100


@dataclass(frozen=True, slots=True)
class Bucket:
    """Answers by pod within a tenth of a second; `at` is its end, in seconds since the epoch."""

    at: float
    answers: Mapping[str, int]

    def share(self, pods: Iterable[str]) -> float:
        """Of the calls that these pods have answered; 0 where there was none."""
        total = sum(self.answers.values())
        return sum(self.answers.get(pod, 0) for pod in pods) / total if total else 0.0

    def calls(self, pods: Iterable[str]) -> int:
        return sum(self.answers.get(pod, 0) for pod in pods)

    @property
    def errors(self) -> int:
        return sum(n for pod, n in self.answers.items() if pod.startswith("error"))


def points_off(answers: Mapping[str, int], pods: Iterable[str], percent: float) -> float:
    """Percentage points between the share of these pods and what it should be."""
    total = sum(answers.values())
    return abs(100 * sum(answers.get(pod, 0) for pod in pods) / total - percent)


def sigmas_off(answers: Mapping[str, int], pods: Iterable[str], percent: float) -> float:
    """The same in standard deviations of a binomial draw."""
    total, share = sum(answers.values()), percent / 100
    deviation = 100 * math.sqrt(share * (1 - share) / total)
    return points_off(answers, pods, percent) / deviation


def reached(
    buckets: Sequence[Bucket], pods: Iterable[str], share: float, since: float
) -> float | None:
    """Seconds from `since` to the end of the first half second in which these pods have at least
    that share of the calls; None where that never comes."""
    chosen = tuple(pods)
    after = [bucket for bucket in buckets if bucket.at > since]
    for number in range(len(after) - 4):
        window = merged(after[number : number + 5])
        if window.share(chosen) >= share:
            return after[number].at - since
    return None


def last_call(buckets: Sequence[Bucket], pod: str, since: float) -> float:
    """Seconds from `since` to the end of the last bucket in which that pod has answered."""
    ends = [bucket.at for bucket in buckets if bucket.answers.get(pod) and bucket.at > since]
    return max(ends, default=since) - since


def merged(buckets: Iterable[Bucket]) -> Bucket:
    """All of them as one."""
    answers: Counter[str] = Counter()
    at = 0.0
    for bucket in buckets:
        answers.update(bucket.answers)
        at = max(at, bucket.at)
    return Bucket(at, answers)


@dataclass(frozen=True, slots=True)
class Reading:
    """Requests that each pod has taken in since its start."""

    at: float
    requests: Mapping[str, int]


def herding(readings: Sequence[Reading], fair: Mapping[str, float], window: float) -> float:
    """The largest multiple of its fair share that a pod has taken in within any such window; NaN
    without one, which meets no target."""
    multiples = []
    for end in readings:
        begin = next((r for r in readings if end.at - window <= r.at < end.at), None)
        if begin is None or end.at - begin.at < window * 0.8:
            continue
        taken = {pod: end.requests[pod] - begin.requests[pod] for pod in fair}
        if total := sum(taken.values()):
            multiples.append(max(taken[pod] / total / fair[pod] for pod in fair))
    return max(multiples, default=math.nan)


def chance(readings: Sequence[Reading], fair: Mapping[str, float], window: float) -> float:
    """What `herding` would be if each of these requests had gone to a pod drawn with fair shares:
    the median of many draws, always the same ones."""
    random, pods, shares = Random(0), list(fair), list(fair.values())
    steps = [sum(r.requests[pod] for pod in pods) for r in readings]
    found = []
    for _ in range(DRAWS):
        taken = Counter(dict.fromkeys(pods, 0))
        drawn = [Reading(readings[0].at, dict(taken))]
        for before, after, reading in zip(steps, steps[1:], readings[1:], strict=False):
            taken.update(random.choices(pods, shares, k=after - before))
            drawn.append(Reading(reading.at, dict(taken)))
        found.append(herding(drawn, fair, window))
    return median(found)
