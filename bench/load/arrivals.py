"""When requests are sent in an open loop: offsets in seconds from a phase's start. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from bench.load.lengths import Lengths
from bench.load.phases import Burst, Poisson, Ramp, Trace


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a schedule; lengths are None where a distribution gives them."""

    at: float
    lengths: Lengths | None = None


Open = Poisson | Ramp | Burst | Trace


def schedule(phase: Open, random: Random, traced: Sequence[Arrival] = ()) -> Iterator[Arrival]:
    """The arrivals of a phase in order, each before the phase's end.

    traced: what the file of a Trace holds.
    """
    match phase:
        case Poisson(rate, seconds):
            return map(Arrival, poisson(rate, seconds, random))
        case Ramp():
            return map(Arrival, ramp(phase, random))
        case Burst():
            return map(Arrival, burst(phase))
        case Trace(_, speed):
            return (Arrival(arrival.at / speed, arrival.lengths) for arrival in traced)


def poisson(rate: float, seconds: float, random: Random) -> Iterator[float]:
    """A Poisson process: independent exponential gaps of 1/rate on average."""
    at = random.expovariate(rate)
    while at < seconds:
        yield at
        at += random.expovariate(rate)


def ramp(phase: Ramp, random: Random) -> Iterator[float]:
    """A Poisson process with the rate r(t) = start + (end - start) t / T.

    Arrivals s of a process of rate 1 are mapped to the t at which the integral of r is s:
    t = 2 s / (start + sqrt(start² + 2 s (end - start) / T)).
    """
    total = phase.seconds * (phase.start + phase.end) / 2
    slope = (phase.end - phase.start) / phase.seconds
    for unit in poisson(1.0, total, random):
        root = math.sqrt(max(0.0, phase.start**2 + 2 * unit * slope))
        at = 2 * unit / (phase.start + root)
        if at < phase.seconds:  # rounding at the very end
            yield at


def burst(phase: Burst) -> Iterator[float]:
    """`size` equal offsets for each burst."""
    for number in range(math.ceil(phase.seconds / phase.every)):
        for _ in range(phase.size):
            yield number * phase.every
