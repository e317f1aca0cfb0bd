import pytest

from llm_runtime.engine.rate import Rates, RateWindow


def test_no_step_means_no_rate() -> None:
    assert RateWindow().rates(100.0) == Rates(0.0, 0.0)


def test_rates_are_over_the_whole_window() -> None:
    window = RateWindow(span=10)
    for tick in range(20):
        window.add(100 + tick / 4, tokens=3, seconds=0.25)
    assert window.rates(104.9) == Rates(tokens_per_second=6.0, step_seconds=0.25)


def test_old_steps_are_forgotten() -> None:
    window = RateWindow(span=10)
    window.add(100.0, tokens=50, seconds=1.0)
    window.add(111.5, tokens=20, seconds=0.5)
    rates = window.rates(111.6)
    assert rates.tokens_per_second == pytest.approx(2.0)
    assert rates.step_seconds == pytest.approx(0.5)
