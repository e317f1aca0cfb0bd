"""What the engine did of late, for whoever decides how many pods there should be."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from llm_runtime.engine.average import MovingAverage
from llm_runtime.engine.observer import StepReport
from llm_runtime.engine.quantile import RecentQuantile
from llm_runtime.engine.rate import Rates, RateWindow

_HIGH_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Recent:
    """The latest past.

    Attributes:
        rates: over the last ten seconds.
        first_token_p90: seconds from submission to the first token, over the last minute; 0 where
            there was none.
        inter_token_p90: seconds between two tokens of an answer, likewise.
        ended: requests with an answer, whole or not, that ended since the start.
        mean_prompt: tokens of the prompts of the latest ones; 0 before the first.
        mean_output: tokens that were generated for them.
    """

    rates: Rates
    first_token_p90: float
    inter_token_p90: float
    ended: int
    mean_prompt: float
    mean_output: float


class Signals:
    """Observes the engine. Written on its thread, read from any."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rates = RateWindow()
        self._first_tokens = RecentQuantile()
        self._next_tokens = RecentQuantile()
        self._prompt = MovingAverage()
        self._output = MovingAverage()

    def recent(self) -> Recent:
        """The past as of now."""
        with self._lock:
            now = self._clock()
            return Recent(
                rates=self._rates.rates(now),
                first_token_p90=self._first_tokens.at(now, _HIGH_SHARE),
                inter_token_p90=self._next_tokens.at(now, _HIGH_SHARE),
                ended=self._prompt.count,
                mean_prompt=self._prompt.mean,
                mean_output=self._output.mean,
            )

    def step(self, report: StepReport) -> None:
        """Notes a step."""
        with self._lock:
            self._rates.add(self._clock(), report.generated_tokens, report.seconds)

    def first_token(self, seconds: float) -> None:
        """Notes a request's first token."""
        with self._lock:
            self._first_tokens.add(self._clock(), seconds)

    def next_token(self, seconds: float) -> None:
        """Notes a request's later token."""
        with self._lock:
            self._next_tokens.add(self._clock(), seconds)

    def ended(self, prompt_tokens: int, output_tokens: int) -> None:
        """Notes a request that ended with an answer."""
        with self._lock:
            self._prompt.add(prompt_tokens)
            self._output.add(output_tokens)
