"""What a run is to do, and the request that each number stands for. Pure but for the traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bench.load.arrivals import Arrival
from bench.load.course import NO_OBJECTIVE, Objective
from bench.load.lengths import DEFAULT_LENGTH, Distribution, Lengths
from bench.load.phases import Phase, Trace
from bench.load.trace import read_trace

FIRST_TOKEN_ID = 5  # below are the padding and end tokens of most vocabularies


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a run stops by itself.

    in_flight: requests under way at once. requests: of the whole run. seconds: of the whole run;
    what is under way then is cancelled. timeout: deadline of one request in seconds.
    """

    in_flight: int = 1000
    requests: int = 10_000_000
    seconds: float = 3600.0
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What requests look like. Token ids are drawn from [FIRST_TOKEN_ID, vocabulary).

    clients: how many they come from, or 0 where nobody asks.
    """

    prompt: Distribution = DEFAULT_LENGTH
    output: Distribution = DEFAULT_LENGTH
    vocabulary: int = 200
    seed: int = 0
    clients: int = 0

    def client(self, number: int) -> int:
        """Which of the clients sends the request. Drawn each time anew, so that arrivals which are
        independent together are so at each client, too."""
        return Random(f"{self.seed}/client/{number}").randrange(self.clients)

    def lengths(self, number: int) -> Lengths:
        """Of the request with this number: the same whenever it is asked."""
        random = Random(f"{self.seed}/lengths/{number}")
        return Lengths(self.prompt.draw(random), self.output.draw(random))

    def prompt_tokens(self, number: int, length: int) -> list[int]:
        """A prompt like no other, so that no cache of prefixes helps."""
        random = Random(f"{self.seed}/prompt/{number}")
        return random.choices(range(FIRST_TOKEN_ID, self.vocabulary), k=length)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run."""

    phases: tuple[Phase, ...]
    shape: Shape = Shape()
    limits: Limits = Limits()
    objective: Objective = NO_OBJECTIVE
    traces: Mapping[str, Sequence[Arrival]] = field(default_factory=dict)
    """What the files of Trace phases hold."""

    def random(self, phase: int) -> Random:
        """Random numbers for a phase's arrivals."""
        return Random(f"{self.shape.seed}/arrivals/{phase}")


def read_traces(phases: Sequence[Phase]) -> dict[str, tuple[Arrival, ...]]:
    """Reads the files that phases name. Raises InvalidPlanError."""
    files = {phase.file for phase in phases if isinstance(phase, Trace)}
    return {file: read_trace(Path(file)) for file in files}
