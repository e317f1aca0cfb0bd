"""What a run consists of: phases one after the other. Pure."""

from dataclasses import dataclass
from typing import Any

from bench.load.grammar import InvalidPlanError, number, parse, path, whole

_DAY = 86_400.0
_MOST_REQUESTS = 10_000_000


def _seconds(default: Any = None) -> Any:
    return number(0.001, _DAY) if default is None else number(0.001, _DAY, default)


@dataclass(frozen=True, slots=True)
class Closed:
    """Always `streams` requests under way: each one that ends makes room for the next.

    Requests of the phase before that still run count, so that a step of streams is exact.
    """

    streams: int = whole(1, 10_000)
    seconds: float = _seconds(_DAY)
    requests: int = whole(1, _MOST_REQUESTS, 0)
    """The phase ends when it has sent so many; 0 sets no limit."""

    def __post_init__(self) -> None:
        if self.seconds == _DAY and not self.requests:
            raise InvalidPlanError("seconds is missing; add seconds=… or requests=…")


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent arrivals, `rate` a second on average, whatever the server does."""

    rate: float = number(0.001, 10_000)
    seconds: float = _seconds()


@dataclass(frozen=True, slots=True)
class Ramp:
    """Poisson arrivals whose rate goes in a straight line from `start` to `end` a second."""

    start: float = number(0, 10_000)
    end: float = number(0, 10_000)
    seconds: float = _seconds()

    def __post_init__(self) -> None:
        if self.start == self.end == 0:
            raise InvalidPlanError("start and end are both 0; take pause:seconds=… for silence")


@dataclass(frozen=True, slots=True)
class Burst:
    """`size` requests at once, at the start and after each `every` seconds."""

    size: int = whole(1, 10_000)
    every: float = number(0.001, _DAY)
    seconds: float = _seconds()


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrivals and lengths from a CSV file; `speed` 2 plays it in half the time."""

    file: str = path()
    speed: float = number(0.001, 1000, 1.0)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is sent."""

    seconds: float = _seconds()


Phase = Closed | Poisson | Ramp | Burst | Trace | Pause

_KINDS: dict[str, type] = {
    "closed": Closed,
    "poisson": Poisson,
    "ramp": Ramp,
    "burst": Burst,
    "trace": Trace,
    "pause": Pause,
}


def parse_phase(text: str) -> Phase:
    """Reads `closed:streams=10,seconds=60` and the like. Raises InvalidPlanError."""
    found: Phase = parse(text, _KINDS)
    return found
