"""The simulated cluster keeps its books."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from bench.autoscaler_sim.campaign import seeded, tally
from bench.autoscaler_sim.contestant import CONTESTANTS, HPA, KPA, OURS, Contestant
from bench.autoscaler_sim.objective import Objective
from bench.autoscaler_sim.trace import TRACES, Trace
from bench.autoscaler_sim.world import PATIENCE_SECONDS, Outcome, World

from llm_operator.autoscale.observation import Observation

DEFAULTS = [one for one in CONTESTANTS if one.is_default]


class Fixed:
    """Wants what it is told to want."""

    period = 1.0

    def __init__(self, wanted: Callable[[float], int]) -> None:
        """`wanted`: pods by seconds since the start."""
        self.wanted = wanted
        self.seen: list[Observation] = []

    def decide(self, observation: Observation) -> int:
        self.seen.append(observation)
        return self.wanted(observation.now)


def trace(**changes: object) -> Trace:
    made = Trace(name="test", about="", seconds=600.0, rate=lambda _at: 1.0, initial=2)
    return replace(made, **changes)  # type: ignore[arg-type]


def run(scaler: Fixed, **changes: object) -> Outcome:
    return World(trace(**changes), scaler).run()


@pytest.mark.parametrize("contestant", DEFAULTS, ids=lambda one: one.name)
def test_every_request_ends_or_is_lost_and_none_twice(contestant: Contestant) -> None:
    """Through a step, late nodes and two processes that die."""
    late = next(one for one in TRACES if one.name == "late nodes")
    short = replace(late, seconds=3000.0, failures=(600.0, 2700.0))
    outcome = World(short, contestant.scaler(1, short.initial)).run()
    sent = len(list(short.requests()))
    assert len(outcome.requests) in (sent, sent - 1)  # the last one may come after the end
    assert len({id(request) for request in outcome.requests}) == len(outcome.requests)
    open_ = [r for r in outcome.requests if r.ended is None and not r.is_lost]
    assert all(r.at > short.seconds - 5 * PATIENCE_SECONDS for r in open_)
    assert all(r.ended is None for r in outcome.requests if r.is_lost)
    assert 0 < outcome.lost <= 16
    assert all((r.answered or 0.0) <= (r.ended or 1e9) for r in outcome.requests)


def test_pod_hours_are_counted_from_the_node_on() -> None:
    outcome = run(Fixed(lambda _now: 2))
    assert outcome.pod_hours == pytest.approx(2 * 600 / 3600)
    assert (outcome.changes, outcome.starts) == (0, 0)


def test_a_pod_is_ready_within_its_start_up_time() -> None:
    scaler = Fixed(lambda now: 2 if now < 100 else 4)
    run(scaler)
    ready = {seen.now: len(seen.pods) for seen in scaler.seen}
    assert ready[139.0] == 2
    assert ready[182.0] == 4
    assert all(seen.pending == 2 for seen in scaler.seen if 101 < seen.now < 139)


def test_a_pod_without_a_node_waits_for_minutes_and_costs_nothing_meanwhile() -> None:
    scaler = Fixed(lambda now: 2 if now < 60 else 3)
    outcome = run(scaler, standing_nodes=2)
    waits = [seen.now for seen in scaler.seen if seen.unschedulable_since]
    assert 180 <= max(waits) - min(waits) + 1 <= 301
    assert outcome.pod_hours < (2 * 600 + 360) / 3600


def test_a_drained_pod_cuts_nothing() -> None:
    scaler = Fixed(lambda now: 4 if now < 300 else 1)
    outcome = run(scaler, initial=4, rate=lambda _at: 3.0)
    assert outcome.lost == 0
    assert len(scaler.seen[-1].pods) == 1


def test_a_drain_is_taken_back_before_a_pod_is_made() -> None:
    scaler = Fixed(lambda now: 3 if 300 < now <= 301 else 4)
    outcome = run(scaler, initial=4, rate=lambda _at: 3.0)
    assert outcome.changes == 2
    assert outcome.starts == 0


def test_a_node_that_stands_empty_is_paid_for_ten_minutes_and_then_given_back() -> None:
    scaler = Fixed(lambda now: 3 if now < 400 else 2)
    outcome = run(scaler, standing_nodes=2, seconds=2000.0)
    assert outcome.idle_seconds == pytest.approx(600, abs=1)
    assert outcome.paid_hours > outcome.pod_hours


def test_at_zero_requests_are_held_and_sent_when_a_pod_is_ready() -> None:
    scaler = Fixed(lambda now: 0 if now < 100 else 1)
    outcome = run(scaler, initial=1)
    held = [request for request in outcome.requests if 10 < request.at < 100]
    assert max(seen.held for seen in scaler.seen) >= len(held)
    assert all((request.answered or 0.0) > 30 for request in held)


@pytest.mark.parametrize("contestant", DEFAULTS, ids=lambda one: one.name)
def test_the_same_seed_gives_the_same_run(contestant: Contestant) -> None:
    steps = replace(TRACES[2], seconds=2400.0)
    runs = [World(steps, contestant.scaler(1, 2)).run() for _ in range(2)]
    first, second = (tally(outcome, Objective()) for outcome in runs)
    assert first == second


def test_seeds_change_the_chances_and_not_the_load() -> None:
    ours = [len(list(seeded(TRACES[0], seed).requests())) for seed in (1, 2)]
    assert ours[0] != ours[1]
    assert ours[0] == pytest.approx(ours[1], rel=0.05)


def test_everyone_is_compared_with_one_default_setting() -> None:
    assert [one.name for one in DEFAULTS] == [OURS, HPA, KPA]
