"""Progress: bytes done, and the time left at the rate so far."""

from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.model.progress import ProgressReport, SharedProgress, Step, remaining_seconds


def test_a_quarter_in_ten_seconds_leaves_thirty() -> None:
    assert remaining_seconds(25, 100, 10.0) == 30


def test_nothing_is_promised_before_there_is_a_rate() -> None:
    assert remaining_seconds(0, 100, 10.0) is None
    assert remaining_seconds(10, 0, 10.0) is None
    assert remaining_seconds(10, 100, 0.0) is None


@given(st.integers(1, 1 << 40), st.integers(1, 1 << 40), st.floats(0.001, 1e6))
def test_the_time_left_is_never_negative(done: int, total: int, elapsed: float) -> None:
    left = remaining_seconds(done, total, elapsed)
    assert left is not None
    assert left >= 0


def test_a_new_step_starts_from_nothing() -> None:
    times = iter([0.0, 5.0, 7.0])
    progress = SharedProgress(clock=lambda: next(times))
    progress.begin(Step.FETCH, 10)
    progress.advance(10)
    progress.begin(Step.EXPORT, 20)
    progress.advance(5)
    assert progress.report() == ProgressReport(Step.EXPORT, 5, 20, 6)
