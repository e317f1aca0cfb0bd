from types import SimpleNamespace
from typing import Any

import pytest
from bench.autoscaling import pods_for, step
from bench.timeline import (
    Activation,
    ColdStart,
    PodLife,
    Sample,
    Transitions,
    first_after,
    most_wanted,
    reached,
    transitions,
)


def wishes(*wanted: int | None) -> list[Sample]:
    """One sample a second from 0 on."""
    return [Sample(float(at), each, 0) for at, each in enumerate(wanted)]


def pod(*conditions: str) -> Any:
    held = [SimpleNamespace(type=name, status="True") for name in conditions]
    return SimpleNamespace(status=SimpleNamespace(conditions=held))


def test_only_changes_of_the_wish_are_transitions() -> None:
    found = transitions(wishes(None, 0, 0, 1, 3, 3, 1, 0, 1))
    assert found == Transitions(up=3, down=1, zero=1)
    assert found.total == 5


def test_a_wish_is_reached_after_the_step_and_not_before() -> None:
    samples = wishes(3, 1, 1, 2, 3)
    assert reached(samples, 3, since=1.5) == pytest.approx(2.5)
    assert reached(samples, 4, since=0.0) is None


def test_the_largest_wish_of_a_span_includes_the_one_that_still_holds() -> None:
    samples = wishes(1, 4, 2, 3, 9)
    assert most_wanted(samples, since=1.5, until=3.0) == 4
    assert most_wanted(samples, since=2.5, until=3.0) == 3
    assert most_wanted([], since=0.0, until=1.0) == 0


@pytest.mark.parametrize(("streams", "pods"), [(1, 1), (3, 1), (4, 2), (10, 3), (13, 4)])
def test_pods_follow_the_demand_over_the_target(streams: int, pods: int) -> None:
    assert pods_for(streams) == pods


def test_a_step_that_was_never_decided_misses_its_target() -> None:
    off, decided = step(wishes(1, 1, 2), began=0.5, seconds=5, wanted=3)
    assert (off.value, off.met) == (1, False)
    assert (decided.value, decided.met) == (5, False)
    right, decided = step(wishes(1, 1, 3), began=0.5, seconds=5, wanted=3)
    assert (right.met, decided.value) == (True, 1.5)


def test_a_cold_start_is_told_in_parts_that_add_up_to_the_pods_own_start() -> None:
    life = PodLife("a", 0.0).at(pod(), 0.5).at(pod("PodScheduled"), 1.0)
    life = life.at(pod("PodScheduled", "Ready"), 60.0).at(pod("PodScheduled", "Ready"), 70.0)
    fetch = "1970-01-01T00:00:03.5Z fetch: started, 5 MB\n1970-01-01T00:00:10Z /model: sha256\n"
    runtime = (
        '1970-01-01T00:00:15.123456789Z {"message": "Planned the memory"}\n'
        '1970-01-01T00:00:55Z {"message": "Loaded the model"}\n'
        '1970-01-01T00:00:58Z {"message": "Entered a phase", "phase": "SERVING"}\n'
    )
    found = ColdStart.of(life, fetch, runtime)
    assert found is not None
    parts = [getattr(found, name) for name in ColdStart.__slots__]
    assert parts == pytest.approx([1, 2.5, 6.5, 5.123456, 39.876544, 3, 2])
    assert sum(parts) == pytest.approx(60.0)
    assert ColdStart.of(life, "", runtime) is None


def test_an_activation_adds_what_is_neither_the_pods_start_nor_the_answers_own_time() -> None:
    seen = Activation(asked=100.0, scaled_up=100.03, routable=106.0, answered=106.05, warm=0.01)
    assert seen.start == pytest.approx(5.97)
    assert seen.added == pytest.approx(0.07)


def test_the_first_moment_of_an_activation_is_not_one_from_before() -> None:
    assert first_after([1.0, 9.0, 7.0], 6.5) == 7.0
    assert first_after([1.0], 6.5) is None
