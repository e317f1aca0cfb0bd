"""How long prompts and answers are, in tokens. Pure; the random numbers are the caller's."""

import math
from dataclasses import dataclass
from random import Random

from bench.load.grammar import InvalidPlanError, number, parse, whole

MOST_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of one request: tokens of the prompt, and tokens of the answer."""

    prompt: int
    output: int


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same."""

    tokens: int = whole(1, MOST_TOKENS)

    def draw(self, random: Random) -> int:  # noqa: ARG002
        """The length."""
        return self.tokens


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every length in [low, high] as often as any other."""

    low: int = whole(1, MOST_TOKENS)
    high: int = whole(1, MOST_TOKENS)

    def __post_init__(self) -> None:
        _check_order(self.low, self.high)

    def draw(self, random: Random) -> int:
        """A length."""
        return random.randint(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Many short ones and a long tail: exp of a normal distribution, cut to [low, high].

    sigma: of the logarithm; with 1, one in six is more than 2.7 times the median.
    """

    median: float = number(1, MOST_TOKENS)
    sigma: float = number(0, 10)
    high: int = whole(1, MOST_TOKENS)
    low: int = whole(1, MOST_TOKENS, 1)

    def __post_init__(self) -> None:
        _check_order(self.low, self.high)

    def draw(self, random: Random) -> int:
        """A length."""
        exponent = random.normalvariate(math.log(self.median), self.sigma)
        return max(self.low, min(self.high, round(math.exp(min(exponent, 20.0)))))


Distribution = Fixed | Uniform | Lognormal

DEFAULT_LENGTH = Fixed(32)

_KINDS: dict[str, type] = {"fixed": Fixed, "uniform": Uniform, "lognormal": Lognormal}


def parse_distribution(text: str) -> Distribution:
    """Reads `32`, `uniform:low=16,high=64` or `lognormal:median=64,sigma=0.8,high=512`.

    Raises InvalidPlanError.
    """
    full = f"fixed:tokens={text}" if text.lstrip("-").isdecimal() else text
    found: Distribution = parse(full, _KINDS)
    return found


def _check_order(low: int, high: int) -> None:
    if low > high:
        raise InvalidPlanError(f"low is {low}, more than high, {high}; swap them")
