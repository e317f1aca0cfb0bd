"""Which way calls to a model go, and when to look whether there is a better one. Pure.

XDS: the control plane tells where the pods are and how busy. gRPC keeps what it was told, so who
has once got through this way stays on it, whatever becomes of the control plane.
PODS: without a control plane; to each pod of the headless Service in turn.
SERVICE: when that has nobody, as at zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

import grpc


class Way(StrEnum):
    """How a channel finds its servers; DIRECT is a target that the caller chose."""

    DIRECT = "direct"
    XDS = "xds"
    PODS = "pods"
    SERVICE = "service"


ORDER = (Way.XDS, Way.PODS, Way.SERVICE)
"""Ways to a model, the best first."""


class Trial(Enum):
    """What became of a call that only tries a way.

    REFUSED: gRPC knows that there is no connection. SILENT: nobody said anything in time.
    """

    ANSWERED = auto()
    REFUSED = auto()
    SILENT = auto()


class Look(Enum):
    """Whether to look for the way to take.

    MEANWHILE: calls go on where they go. FIRST: calls wait for it, since they could not go anyway.
    """

    NONE = auto()
    MEANWHILE = auto()
    FIRST = auto()


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds.

    Attributes:
        xds: what the control plane gets to show itself, and then to lead a call to a server.
        dns: what a server gets to answer on each of the other ways.
        again: the time between two looks while there are calls.
        down: the same while they find no connection.
    """

    xds: float = 1.2
    dns: float = 0.4
    again: float = 30.0
    down: float = 1.0

    def trial(self, way: Way) -> float:
        """What a trial may take."""
        return self.xds if way is Way.XDS else self.dns


PACE = Pace()
"""Two seconds in all: what a first call may lose to a control plane that is not there."""


def trial_of(code: grpc.StatusCode) -> Trial:
    """Any other status comes from a server, so there is a way to one."""
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return Trial.REFUSED
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return Trial.SILENT
        case _:
            return Trial.ANSWERED


def best(trials: Mapping[Way, Trial], now: Way | None) -> Way:
    """The way to take after trials, which end with the first answer.

    Where nobody answers, a way that works now is kept. Else xDS has the last word if its control
    plane is there: gRPC says by it what is wrong, with the name, say.

    now: the way that calls go without trouble, if there is one.
    """
    for way in ORDER:
        if trials.get(way) is Trial.ANSWERED:
            return way
    if now is not None:
        return now
    return Way.XDS if Way.XDS in trials else Way.SERVICE


def look(age: float, pace: Pace, *, is_final: bool, has_failed: bool) -> Look:
    """Whether to look again.

    Args:
        age: seconds since the last look.
        pace: times between looks.
        is_final: calls go by xDS and have got through.
        has_failed: calls find no connection.
    """
    if is_final:
        return Look.NONE
    if has_failed and age >= pace.down:
        return Look.FIRST
    return Look.MEANWHILE if age >= pace.again else Look.NONE
