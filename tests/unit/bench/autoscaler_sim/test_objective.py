from bench.autoscaler_sim.objective import Objective
from bench.autoscaler_sim.request import Request

OBJECTIVE = Objective(first_token=2.0, inter_token=0.05)


def request(
    answered: float | None, ended: float | None = None, *, is_lost: bool = False
) -> Request:
    return Request(0.0, 10, 101, answered=answered, ended=ended, is_lost=is_lost)


def test_in_time_is_no_violation() -> None:
    assert not OBJECTIVE.is_violated(request(2.0, 6.9))
    assert not OBJECTIVE.is_violated(request(0.1))


def test_late_never_slow_and_lost_are_violations() -> None:
    assert OBJECTIVE.is_violated(request(2.1, 3.0))
    assert OBJECTIVE.is_violated(request(None))
    assert OBJECTIVE.is_violated(request(0.1, 5.2))
    assert OBJECTIVE.is_violated(request(0.1, is_lost=True))


def test_an_answer_of_one_token_has_no_pace() -> None:
    assert Request(0.0, 10, 1, answered=0.1, ended=9.0).inter_token is None
