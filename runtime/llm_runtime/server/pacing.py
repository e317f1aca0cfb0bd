"""When a watcher of the load is told. Pure: the caller looks at the clock.

A change of state is told at once, any other change at most twice a second, and where nothing
changes a word every few seconds says that the stream is alive.
"""

from dataclasses import dataclass
from enum import Enum, auto


class News(Enum):
    """What a message now would tell that the last one did not."""

    NONE = auto()
    LOAD = auto()
    STATE = auto()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two messages.

    Attributes:
        shortest: where the load has changed.
        longest: where nothing has.
    """

    shortest: float = 0.5
    longest: float = 5.0


@dataclass(frozen=True, slots=True)
class Send:
    """The message is due."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after so many seconds, and at once after a change of state.

    Attributes:
        for_load: and at once after a change of the load.
    """

    seconds: float
    for_load: bool


def next_move(elapsed: float, news: News, pace: Pace) -> Send | Wait:
    """What to do so many seconds after the last message, with this to tell."""
    if news is News.STATE:
        return Send()
    limit = pace.longest if news is News.NONE else pace.shortest
    if elapsed >= limit:
        return Send()
    return Wait(limit - elapsed, for_load=news is News.NONE)
