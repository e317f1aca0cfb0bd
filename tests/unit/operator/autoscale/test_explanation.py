"""The sentences that an engineer reads at night: each says how many pods, why, and what holds."""

import pytest

from llm_operator.autoscale.decision import Decision
from llm_operator.autoscale.reason import DecisionReason
from support.fleet import Course, autoscaling, pod, silent, spread


def course(current: int, **spec: object) -> Course:
    made = Course(autoscaling(**spec), current)
    made.stay(spread(3 * current, current), 200, step=5)
    return made


def last_told(made: Course) -> Decision:
    return made.history[-1]


def test_a_burst_says_what_the_load_fills() -> None:
    made = course(1)
    made.stay(spread(10, 1), 6)
    assert last_told(made).message == (
        "Scaled from 2 to 3 pods: load rose suddenly, that of the last 3 s fills 3 pods to 85 % "
        "each."
    )


def test_a_step_that_policies_limit_says_how_much_is_asked_for() -> None:
    pods = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    made = course(1, scaleUp={"policies": pods})
    made.stay(spread(20, 1), 6)
    assert last_told(made).message == (
        "Scaled from 1 to 2 pods: load rose suddenly, that of the last 3 s fills 3 pods to 85 % "
        "each; scaleUp allows no further step yet."
    )


def test_the_maximum_is_named_with_its_number() -> None:
    made = course(2, maxReplicas=3)
    made.stay(spread(40, 2), 90)
    assert last_told(made).message == (
        "Scaled from 2 to 3 pods: the load asks for more than maxReplicas (3) allows."
    )


def test_what_waits_for_a_window_says_for_which_one_and_how_long() -> None:
    made = course(4)
    made.stay(spread(3, 4), 200, step=5)
    assert last_told(made).message == (
        "Keeping 4 pods: fewer would fit the load; that has to last for "
        "scaleDown.stabilizationWindowSeconds (300 s) first."
    )


def test_a_window_that_is_longer_than_the_users_says_why() -> None:
    made = course(2, scaleDown={"stabilizationWindowSeconds": 60})
    awaited = tuple(f"pod-{number}" for number in range(2, 6))
    made.stay(spread(20, 2), 120, pending=4, awaited=awaited)
    made.stay(spread(20, 6), 10)
    made.stay(spread(3, 6), 150, step=5)
    assert made.history[-1].startup_seconds_p90 == pytest.approx(121, abs=3)
    assert "that has to last for 2" in last_told(made).message
    assert last_told(made).message.endswith(
        " s (longer than scaleDown.stabilizationWindowSeconds: pods start slowly) first."
    )


@pytest.mark.parametrize(
    ("window", "why"), [(0, "fewer hold"), (120, "for 120 s fewer would have held")]
)
def test_a_fall_says_for_how_long_fewer_were_enough(window: int, why: str) -> None:
    made = course(4, scaleDown={"stabilizationWindowSeconds": window})
    made.serve(2, 500, step=5)
    told = {d.message for d in made.history if d.reason is DecisionReason.DEMAND_FELL}
    assert {message.partition(": ")[2] for message in told} == {
        f"{why} the load with room to spare."
    }


def test_what_policies_hold_back_says_in_which_direction() -> None:
    pods = [{"type": "Pods", "value": 1, "periodSeconds": 600}]
    made = course(4, scaleDown={"stabilizationWindowSeconds": 0, "policies": pods})
    made.stay(spread(3, 4), 120)
    made.stay(spread(3, 3), 300, step=5)
    assert last_told(made).message == (
        "Keeping 3 pods: fewer would fit the load; scaleDown.policies allow no further step yet."
    )


def test_blindness_says_what_follows_from_it() -> None:
    made = course(3)
    made.stay((pod(0, 3), silent(1), silent(2)), 5)
    assert last_told(made).message == (
        "Keeping 3 pods: most ready pods give no credible report of their load, and until they do "
        "nothing is added or given up."
    )
