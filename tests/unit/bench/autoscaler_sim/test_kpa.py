"""Knative's arithmetic, against its documentation and the cases of its own tests."""

from collections.abc import Iterable

from bench.autoscaler_sim.kpa import Kpa
from bench.autoscaler_sim.scaler import Bounds

from llm_operator.autoscale.observation import Observation
from support.fleet import spread


def kpa(current: int, least: int = 1, down_delay: float = 0.0) -> Kpa:
    """Each pod of four slots should hold two requests."""
    return Kpa(Bounds(least, 20, 0.5), current, down_delay)


def walk(scaler: Kpa, requests: int, ready: int, moments: Iterable[int], held: int = 0) -> int:
    """The wish after the same was seen at each moment; seconds."""
    for now in moments:
        pods = spread(requests, ready)
        wish = scaler.decide(Observation(now=now, pods=pods, held=held, current=ready))
    return wish


def test_the_stable_window_gives_the_load_by_the_target() -> None:
    assert walk(kpa(1), 3, 1, range(0, 62, 2)) == 2


def test_twice_what_is_ready_within_six_seconds_is_a_panic() -> None:
    scaler = kpa(1)
    walk(scaler, 1, 1, range(0, 60, 2))
    assert walk(scaler, 8, 1, range(60, 68, 2)) == 4


def test_a_panic_gives_nothing_back_for_a_stable_window() -> None:
    scaler = kpa(1)
    walk(scaler, 1, 1, range(0, 60, 2))
    walk(scaler, 8, 1, range(60, 68, 2))
    assert walk(scaler, 1, 4, range(68, 120, 2)) == 4
    assert walk(scaler, 1, 4, range(120, 200, 2)) == 2


def test_several_pods_start_in_panic() -> None:
    """A restarted autoscaler takes nothing away from what it has not seen."""
    assert walk(kpa(6), 1, 6, range(0, 60, 2)) == 6


def test_a_step_down_is_half_at_most() -> None:
    assert walk(kpa(12), 1, 12, range(0, 64, 2)) == 6


def test_silence_ends_the_last_pod_after_the_window_and_the_grace() -> None:
    scaler = kpa(1, least=0)
    walk(scaler, 1, 1, range(0, 10, 2))
    assert walk(scaler, 0, 1, range(10, 98, 2)) == 1
    assert walk(scaler, 0, 1, range(98, 100, 2)) == 0


def test_a_held_call_brings_a_pod() -> None:
    scaler = kpa(0, least=0)
    assert walk(scaler, 0, 0, range(0, 200, 2)) == 0
    assert walk(scaler, 0, 0, range(200, 204, 2), held=1) == 1


def test_a_scale_down_delay_keeps_the_highest_wish() -> None:
    scaler = kpa(1, down_delay=300)
    walk(scaler, 8, 1, range(0, 70, 2))
    assert walk(scaler, 1, 4, range(70, 360, 2)) == 4
    assert walk(scaler, 1, 4, range(360, 520, 2)) == 2
