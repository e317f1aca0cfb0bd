"""Loads: when requests come and how long they are. Every trace has its seed."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from bench.autoscaler_sim.request import Request

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A load and the cluster that it meets."""

    name: str
    about: str
    seconds: float
    rate: Callable[[float], float]
    """Requests a second at a time."""
    burstiness: float = 1.0
    """Squared coefficient of variation of the gaps: 1 is Poisson, more comes in clumps."""
    prompt: tuple[float, float] = (400.0, 0.6)
    """Median and sigma of a log-normal distribution of tokens."""
    output: tuple[float, float] = (160.0, 0.7)
    standing_nodes: int = 40
    failures: tuple[float, ...] = ()
    """When the busiest pod's process dies."""
    min_replicas: int = 1
    initial: int = 2
    seed: int = 1

    def requests(self) -> Iterator[Request]:
        """The requests in order of arrival. Gaps are Gamma-distributed in the time that passes as
        fast as the rate, so that bursts keep their shape while the rate changes."""
        random = Random(self.seed)
        shape = 1.0 / self.burstiness
        at, owed = 0.0, random.gammavariate(shape, self.burstiness)
        while at < self.seconds:
            step = min(1.0, owed / max(1e-6, self.rate(at)))
            owed -= step * self.rate(at)
            at += step
            if owed <= 1e-9:
                yield self._request(at, random)
                owed = random.gammavariate(shape, self.burstiness)

    def _request(self, at: float, random: Random) -> Request:
        return Request(at, _length(self.prompt, random), _length(self.output, random))


def _length(distribution: tuple[float, float], random: Random) -> int:
    median, sigma = distribution
    return max(1, min(2000, round(random.lognormvariate(math.log(median), sigma))))


def _constant(_at: float) -> float:
    return 5.0


def _ramp(at: float) -> float:
    """Evenly from 1 to 9 requests/s within the hour after the first ten minutes."""
    return 1.0 + 8.0 * min(1.0, max(0.0, at - 10 * MINUTE) / HOUR)


def _step(at: float) -> float:
    return 8.0 if 30 * MINUTE <= at < 75 * MINUTE else 2.0


def _small_step(at: float) -> float:
    return 6.0 if 30 * MINUTE <= at < 75 * MINUTE else 4.0


def _day(at: float) -> float:
    """A day in four hours."""
    return 1.0 + 7.0 * math.pow(0.5 - 0.5 * math.cos(2 * math.pi * at / (4 * HOUR)), 1.5)


def _bursts(at: float) -> float:
    """Two minutes in every fifteen."""
    return 8.0 if at % (15 * MINUTE) >= 13 * MINUTE else 2.5


def _spike(at: float) -> float:
    return 20.0 if 30 * MINUTE <= at < 31.5 * MINUTE else 2.0


def _public(at: float) -> float:
    """An hour-scale swell with minutes of double load at times that do not repeat."""
    swell = 3.5 + 2.0 * math.sin(2 * math.pi * at / (110 * MINUTE))
    beat = math.sin(at / 211.0) + math.sin(at / 137.0) + math.sin(at / 61.0)
    return max(0.5, swell * (2.0 if beat > 1.6 else 1.0))


def _seldom(at: float) -> float:
    """Ten busy minutes an hour, and hardly anything else."""
    return 2.0 if at % HOUR >= 50 * MINUTE else (0.0 if at % HOUR < 40 * MINUTE else 0.02)


TRACES = (
    Trace(
        name="constant",
        about="5 requests/s throughout",
        seconds=90 * MINUTE,
        rate=_constant,
        initial=4,
        seed=9,
    ),
    Trace(
        name="ramp",
        about="from 1 to 9 requests/s within an hour, and half an hour of that",
        seconds=100 * MINUTE,
        rate=_ramp,
        seed=10,
    ),
    Trace(
        name="step",
        about="2 requests/s, then 8 for 45 minutes, then 2 again",
        seconds=2 * HOUR,
        rate=_step,
    ),
    Trace(
        name="small step",
        about="4 requests/s, then 6 for 45 minutes, then 4 again: too little for a panic",
        seconds=2 * HOUR,
        rate=_small_step,
        initial=4,
        seed=2,
    ),
    Trace(
        name="diurnal",
        about="a day pressed into four hours, from 1 to 8 requests/s and back",
        seconds=4 * HOUR,
        rate=_day,
        seed=3,
    ),
    Trace(
        name="bursts",
        about="2.5 requests/s, and 8 for two minutes out of every fifteen",
        seconds=2 * HOUR,
        rate=_bursts,
        seed=4,
    ),
    Trace(
        name="spike",
        about="2 requests/s and once 20 for 90 seconds: over before a pod can start",
        seconds=90 * MINUTE,
        rate=_spike,
        seed=5,
    ),
    Trace(
        name="public shape",
        about="clumped arrivals (Gamma-distributed gaps, squared coefficient of variation 4), a "
        "swell with minutes of double load, long-tailed lengths: the traits that BurstGPT (arXiv "
        "2401.17644) reports of Azure's GPT services, synthesised with figures of our own",
        seconds=2 * HOUR,
        rate=_public,
        burstiness=4.0,
        prompt=(350.0, 1.0),
        output=(150.0, 0.9),
        initial=4,
        seed=6,
    ),
    Trace(
        name="late nodes",
        about="the step, but three nodes stand ready and each further one takes 3 to 5 minutes; "
        "a process dies at 20 and at 60 minutes",
        seconds=2 * HOUR,
        rate=_step,
        standing_nodes=3,
        failures=(20 * MINUTE, 60 * MINUTE),
        seed=7,
    ),
    Trace(
        name="mostly idle",
        about="ten busy minutes an hour; where an algorithm can, it goes to zero",
        seconds=3 * HOUR,
        rate=_seldom,
        min_replicas=0,
        initial=1,
        seed=8,
    ),
    Trace(
        name="mostly idle, one kept",
        about="the same with `minReplicas: 1` for everyone",
        seconds=3 * HOUR,
        rate=_seldom,
        initial=1,
        seed=8,
    ),
)
