"""The HPA's arithmetic, against the examples of Kubernetes' documentation and its own tests."""

from bench.autoscaler_sim.hpa import Hpa
from bench.autoscaler_sim.scaler import Bounds

from llm_operator.autoscale.observation import Observation
from support.fleet import spread


def seen(now: float, requests: int, ready: int, waiting: int = 0) -> Observation:
    """Pods of four slots share so many requests; `waiting` further pods start."""
    pods = spread(requests, ready)
    return Observation(now=now, pods=pods, pending=waiting, current=ready + waiting)


def hpa(current: int, target: float = 0.5) -> Hpa:
    return Hpa(Bounds(1, 20, target), current)


def test_twice_the_target_doubles_the_pods() -> None:
    """Documentation: a metric of 200m with a target of 100m doubles the number."""
    assert hpa(3).decide(seen(15, 12, 3)) == 6


def test_half_the_target_halves_the_pods_after_the_window() -> None:
    """Documentation: 50m with 100m halves it; scale-down looks back on 300 s."""
    scaler = hpa(6)
    wishes = [scaler.decide(seen(15.0 * i, 6, 6)) for i in range(1, 22)]
    assert wishes[:19] == [6] * 19
    assert wishes[-1] == 3


def test_nothing_changes_within_the_tolerance() -> None:
    assert hpa(10).decide(seen(15, 21, 10)) == 10
    assert hpa(10).decide(seen(15, 23, 10)) == 12


def test_pods_that_start_count_as_idle_on_the_way_up() -> None:
    """2 ready pods at twice the target, 2 on their way: together they are at it."""
    assert hpa(4).decide(seen(15, 8, 2, waiting=2)) == 4
    assert hpa(4).decide(seen(15, 12, 2, waiting=2)) == 6


def test_a_step_up_is_four_pods_or_twice_as_many() -> None:
    assert hpa(1).decide(seen(15, 60, 1)) == 5
    assert hpa(6).decide(seen(15, 100, 6)) == 12


def test_it_never_goes_to_zero() -> None:
    scaler = Hpa(Bounds(0, 20, 0.5), 1)
    assert {scaler.decide(seen(15.0 * i, 0, 1)) for i in range(40)} == {1}
