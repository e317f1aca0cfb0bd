import pytest

from llm_runtime.engine.observer import Both, Silent, StepReport
from llm_runtime.engine.quantile import RELATIVE_ERROR
from llm_runtime.engine.rate import Rates
from llm_runtime.engine.signals import Recent, Signals


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_before_anything_every_figure_is_zero() -> None:
    assert Signals(Clock()).recent() == Recent(Rates(0.0, 0.0), 0.0, 0.0, 0, 0.0, 0.0)


def test_first_and_later_tokens_are_kept_apart() -> None:
    signals = Signals(Clock())
    signals.first_token(2.0)
    signals.next_token(0.05)
    recent = signals.recent()
    assert recent.first_token_p90 == pytest.approx(2.0, rel=RELATIVE_ERROR)
    assert recent.inter_token_p90 == pytest.approx(0.05, rel=RELATIVE_ERROR)


def test_a_minute_later_latencies_are_forgotten_and_sizes_are_not() -> None:
    clock = Clock()
    signals = Signals(clock)
    signals.first_token(2.0)
    signals.next_token(0.05)
    signals.step(StepReport(0.1, 30, 1))
    signals.ended(30, 12)
    clock.now += 61
    assert signals.recent() == Recent(Rates(0.0, 0.0), 0.0, 0.0, 1, 30.0, 12.0)


def test_sizes_are_means_over_requests_that_ended() -> None:
    signals = Signals(Clock())
    signals.ended(10, 100)
    signals.ended(30, 200)
    recent = signals.recent()
    assert (recent.ended, recent.mean_prompt, recent.mean_output) == (2, 20.0, 150.0)


def test_an_observer_beside_another_hears_the_same() -> None:
    first, second = Signals(Clock()), Signals(Clock())
    both = Both(first, Both(second, Silent()))
    both.step(StepReport(0.1, 30, 1))
    both.first_token(1.0)
    both.next_token(0.5)
    both.ended(3, 4)
    assert first.recent() == second.recent() != Signals(Clock()).recent()
