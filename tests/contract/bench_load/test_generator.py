"""What the load generator sends and what it says became of it, against servers in this process."""

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest
from bench.load.connections import Connections, Policy
from bench.load.course import Fate, Objective
from bench.load.generator import Generator
from bench.load.lengths import Fixed, Uniform
from bench.load.phases import Burst, Closed, Pause, Phase, Poisson
from bench.load.plan import Limits, Plan, Shape

from llm_client.v1 import inference_pb2 as pb
from support.runtime_pod import eventually
from support.scripted_inference import Behaviour, Scripted, after, answers, message, serving

SHORT = Shape(Fixed(4), Fixed(3))


def plan_of(*phases: Phase, **limits: Any) -> Plan:
    return Plan(phases, SHORT, Limits(**{"seconds": 30.0, "timeout": 10.0, **limits}))


async def play(
    plan: Plan, target: str, policy: Policy = Policy.SHARED, *, retries: bool = True
) -> Generator:
    connections = Connections(target, policy, retries=retries)
    generator = Generator(plan, connections)
    try:
        await generator.run()
    finally:
        await connections.close()
    return generator


async def fates(behaviour: Behaviour, **limits: Any) -> Generator:
    """What becomes of three requests, one after the other."""
    async with serving(Scripted(behaviour)) as target:
        return await play(plan_of(Closed(1, requests=3), **limits), target, retries=False)


async def refuses(request: pb.GenerateRequest, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")


async def breaks_off(request: pb.GenerateRequest, context: Any) -> None:
    await context.write(message(1))
    await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


async def aborts(request: pb.GenerateRequest, context: Any) -> None:
    await context.write(message(1, 1, pb.FINISH_REASON_ABORTED))


async def forgets_the_end(request: pb.GenerateRequest, context: Any) -> None:
    await context.write(message(3))


async def swallows_a_token(request: pb.GenerateRequest, context: Any) -> None:
    await context.write(message(2, 3))


async def stops_early(request: pb.GenerateRequest, context: Any) -> None:
    await context.write(message(1, 1, pb.FINISH_REASON_STOP))


async def says_nothing(request: pb.GenerateRequest, context: Any) -> None:
    await context.write(message(1))
    await asyncio.Event().wait()


async def test_a_closed_phase_keeps_so_many_under_way_and_never_more() -> None:
    servicer = Scripted(after(0.01))
    async with serving(servicer) as target:
        generator = await play(plan_of(Closed(5, requests=40)), target)
    assert servicer.most == 5
    assert generator.total.fates == {Fate.ANSWERED: 40}


async def test_requests_of_the_phase_before_count_when_streams_step_up_or_down() -> None:
    servicer = Scripted(after(0.5))
    phases = (Closed(4, seconds=0.1), Closed(6, seconds=0.1), Closed(2, requests=2))
    async with serving(servicer) as target:
        generator = await play(plan_of(*phases), target)
    assert servicer.most == 6
    assert [tally.sent for tally in generator.tallies] == [4, 2, 2]


async def test_an_open_phase_sends_whatever_the_server_does() -> None:
    servicer = Scripted(says_nothing)
    async with serving(servicer) as target:
        generator = await play(plan_of(Burst(20, 0.2, 0.4), seconds=2.0), target)
    assert servicer.most == 40
    assert generator.total.fates == {Fate.CANCELLED: 40}


async def test_arrivals_beyond_the_limit_under_way_are_told_as_unsent() -> None:
    async with serving(Scripted(after(0.2))) as target:
        generator = await play(plan_of(Burst(20, 1, 0.5), in_flight=8), target)
    assert (generator.total.sent, generator.total.unsent) == (8, 12)


async def test_each_client_has_one_connection_for_all_that_it_sends() -> None:
    servicer = Scripted(after(0.05))
    plan = Plan((Closed(8, requests=80),), Shape(Fixed(4), Fixed(3), clients=3))
    async with serving(servicer) as target:
        generator = await play(plan, target, Policy.STREAM)
    assert generator.total.fates == {Fate.ANSWERED: 80}
    assert len(servicer.peers) == 3


async def test_a_run_ends_when_it_has_sent_its_requests() -> None:
    async with serving(Scripted(answers)) as target:
        generator = await play(plan_of(Poisson(500, 60), Closed(1, 60), requests=25), target)
    assert generator.total.fates == {Fate.ANSWERED: 25}


async def test_a_run_ends_when_its_time_is_up_and_the_server_sees_the_cancel() -> None:
    servicer = Scripted(says_nothing)
    async with serving(servicer) as target:
        generator = await play(plan_of(Closed(3, 60), seconds=1.0), target)
        assert generator.total.fates == {Fate.CANCELLED: 3}
        await eventually(lambda: servicer.cancelled == 3)


async def test_stopping_sends_nothing_more_and_lets_running_answers_end() -> None:
    servicer = Scripted(after(0.3))
    async with serving(servicer) as target:
        connections = Connections(target, Policy.SHARED)
        generator = Generator(plan_of(Closed(2, 60), Closed(9, 60)), connections)
        run = asyncio.create_task(generator.run())
        await eventually(lambda: servicer.most == 2)
        generator.stop()
        await run
        await connections.close()
    assert generator.total.fates == {Fate.ANSWERED: 2}


async def test_a_generator_that_was_stopped_before_it_ran_sends_nothing() -> None:
    connections = Connections("127.0.0.1:1", Policy.SHARED)
    generator = Generator(plan_of(Closed(2, 60)), connections)
    generator.stop()
    await generator.run()
    assert generator.total.sent == 0


@pytest.mark.parametrize(
    ("behaviour", "fate", "cut"),
    [
        (answers, Fate.ANSWERED, 0),
        (refuses, Fate.FAILED, 0),
        (breaks_off, Fate.FAILED, 3),
        (aborts, Fate.ABORTED, 3),
        (forgets_the_end, Fate.LOST, 0),
        (swallows_a_token, Fate.LOST, 0),
    ],
)
async def test_each_request_meets_the_fate_that_the_server_gave_it(
    behaviour: Behaviour, fate: Fate, cut: int
) -> None:
    total = (await fates(behaviour)).total
    assert total.fates == {fate: 3}
    assert total.cut == cut
    assert total.errors == ({"UNAVAILABLE": 3} if fate is Fate.FAILED else {})


async def test_a_deadline_is_an_error_and_no_loss() -> None:
    total = (await fates(says_nothing, timeout=0.2)).total
    assert total.errors == {"DEADLINE_EXCEEDED": 3}
    assert total.cut == 3


async def test_an_answer_that_stops_before_its_length_is_short() -> None:
    total = (await fates(stops_early)).total
    assert (total.fates[Fate.ANSWERED], total.short) == (3, 3)


async def test_an_address_where_nobody_answers_is_an_error() -> None:
    generator = await play(plan_of(Closed(1, requests=1), timeout=0.3), "127.0.0.1:1")
    assert generator.total.errors == {"UNAVAILABLE": 1}


async def test_a_closed_loop_does_not_spin_on_refusals() -> None:
    async with serving(Scripted(refuses)) as target:
        generator = await play(plan_of(Closed(1, seconds=1.0)), target, retries=False)
    assert 1 <= generator.total.sent <= 11


async def test_a_refusal_before_the_first_token_is_tried_again_as_the_client_does() -> None:
    left = [refuses, refuses]

    async def refuses_twice(request: pb.GenerateRequest, context: Any) -> None:
        await (left.pop() if left else answers)(request, context)

    async with serving(Scripted(refuses_twice)) as target:
        generator = await play(plan_of(Closed(1, requests=1)), target)
    assert generator.total.fates == {Fate.ANSWERED: 1}


@pytest.mark.parametrize(
    ("policy", "connections"), [(Policy.SHARED, 1), (Policy.STREAM, 4), (Policy.CALL, 20)]
)
async def test_requests_share_connections_as_the_policy_says(
    policy: Policy, connections: int
) -> None:
    servicer = Scripted(after(0.05))
    async with serving(servicer) as target:
        await play(plan_of(Closed(4, requests=20)), target, policy)
    assert len(servicer.peers) == connections


async def test_round_robin_gives_each_address_its_share() -> None:
    first, second = Scripted(after(0.02)), Scripted(after(0.02))
    async with serving(first) as one, serving(second) as two:
        await play(plan_of(Closed(2, requests=40)), f"ipv4:{one},{two}", Policy.ROUND_ROBIN)
    assert min(first.peers.total(), second.peers.total()) >= 15


async def test_a_request_asks_for_exactly_the_lengths_it_drew() -> None:
    servicer = Scripted(answers)
    shape = Shape(Uniform(1, 50), Uniform(2, 9), seed=3)
    async with serving(servicer) as target:
        generator = await play(replace(plan_of(Closed(3, requests=12)), shape=shape), target)
    asked = {(len(r.token_ids.ids), r.stopping.max_new_tokens) for r in servicer.requests}
    drawn = [shape.lengths(number) for number in range(12)]
    assert asked == {(lengths.prompt, lengths.output) for lengths in drawn}
    assert all(request.stopping.ignore_eos for request in servicer.requests)
    assert generator.total.tokens == sum(lengths.output for lengths in drawn)


async def test_answers_beyond_the_objective_are_no_goodput() -> None:
    for limit, good in ((20.0, 4), (0.25, 0)):
        plan = replace(plan_of(Closed(4, requests=4)), objective=Objective(first_token=limit))
        async with serving(Scripted(after(0.3))) as target:
            generator = await play(plan, target)
        assert generator.total.fates == {Fate.ANSWERED: 4}
        assert generator.total.good == good


async def test_watchers_hear_of_each_phase_as_it_begins() -> None:
    heard: list[tuple[int, Phase]] = []
    phases = (Pause(0.01), Closed(1, requests=1))
    async with serving(Scripted(answers)) as target:
        connections = Connections(target, Policy.SHARED)
        await Generator(plan_of(*phases), connections, lambda *told: heard.append(told)).run()
        await connections.close()
    assert heard == list(enumerate(phases))
