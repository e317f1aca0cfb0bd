"""A simulated pod's pace, in seconds; a step of one answer takes 0.0215 s, of two 0.023 s."""

import pytest
from bench.autoscaler_sim.pod import SLOTS, Pod
from bench.autoscaler_sim.request import Request


def pod() -> Pod:
    return Pod(uid="pod-0", made=0.0, scheduled=0.0, ready=True)


def run(one: Pod) -> None:
    """Event by event until nothing is left to do."""
    while (at := one.next_change()) is not None:
        one.advance(at)


def test_a_request_alone_takes_its_prompt_and_its_steps() -> None:
    one, request = pod(), Request(0.0, prompt=400, output=101)
    one.take(request, 0.0)
    run(one)
    assert request.answered == pytest.approx(0.1)
    assert request.ended == pytest.approx(0.1 + 101 * 0.0215)
    assert request.inter_token == pytest.approx(0.0215 * 101 / 100)


def test_prompts_are_computed_one_after_another_and_slow_answers_down() -> None:
    one = pod()
    first, second = Request(0.0, 400, 100), Request(0.0, 400, 100)
    one.take(first, 0.0)
    one.take(second, 0.0)
    run(one)
    assert second.answered == pytest.approx(0.2)
    # Half pace for 0.1 s, then side by side, then alone.
    early = 0.1 * 0.5 / 0.0215
    assert first.ended == pytest.approx(0.2 + (100 - early) * 0.023)


def test_what_finds_no_slot_waits() -> None:
    one = pod()
    requests = [Request(0.0, 40, 100) for _ in range(SLOTS + 3)]
    for request in requests:
        one.take(request, 0.0)
    load = one.load()
    assert (load.running, load.waiting, load.prompt_tokens_queued) == (SLOTS, 3, 120)
    run(one)
    answered = [request.answered or 0.0 for request in requests]
    assert answered == sorted(answered)
    assert answered[SLOTS] > 2.0


def test_tokens_are_held_until_an_answer_ends() -> None:
    one = pod()
    one.take(Request(0.0, 400, 100), 0.0)
    one.advance(0.1)
    one.elapse(0.1 + 50 * 0.0215)
    assert one.load().tokens_held in (449, 450)
    run(one)
    assert one.load().tokens_held == 0


def test_rates_are_told_over_the_last_ten_seconds() -> None:
    one = pod()
    one.take(Request(0.0, 400, 2000), 0.0)
    one.advance(0.1)
    for second in range(1, 21):
        one.elapse(float(second))
        load = one.load()
    assert load.tokens_per_second == pytest.approx(1 / 0.0215)
    assert load.step_seconds == pytest.approx(0.0215)


def test_a_process_that_ends_loses_what_it_answers_and_gives_the_rest_back() -> None:
    one = pod()
    answering, prompted, queued = Request(0.0, 40, 500), Request(0.0, 4000, 9), Request(0.0, 40, 9)
    for request in (answering, prompted, queued):
        one.take(request, 0.0)
    one.advance(0.01)
    assert one.stop() == [prompted, queued]
    assert [r.is_lost for r in (answering, prompted, queued)] == [True, False, False]
    assert one.load().received == 0


def test_requests_are_added_up_over_the_time_that_they_are_there() -> None:
    one = pod()
    for request in (Request(0.0, 40, 500), Request(0.0, 40, 500)):
        one.take(request, 2.0)
    one.elapse(2.5)
    assert one.load().request_seconds == pytest.approx(1.0)
