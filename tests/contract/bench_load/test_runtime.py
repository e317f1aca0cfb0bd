"""Load on the real server with the real model."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.load.connections import Connections, Policy
from bench.load.course import Fate
from bench.load.generator import Generator
from bench.load.lengths import Fixed, Uniform
from bench.load.phases import Burst, Closed
from bench.load.plan import Limits, Plan, Shape

from llm_client.v1 import control_pb2 as pb
from support.runtime_pod import Operator, Pod, eventually, new_operator, running_pod

SHAPE = Shape(Uniform(4, 60), Uniform(1, 40), vocabulary=640, seed=1)


async def play(pod: Pod, plan: Plan, policy: Policy = Policy.STREAM) -> Generator:
    connections = Connections(pod.target, policy)
    generator = Generator(plan, connections)
    await generator.run()
    await connections.close()
    return generator


async def is_draining(pod: Pod, operator: Operator) -> bool:
    load = await pod.control.GetLoad(pb.GetLoadRequest(), metadata=operator.metadata())
    return load.state == pb.LIFECYCLE_STATE_DRAINING


async def test_every_answer_has_the_length_that_was_drawn(artifact: Path) -> None:
    """Whatever token the model makes, its own end included: lengths are the plan's alone."""
    plan = Plan((Closed(8, requests=60),), SHAPE, Limits(timeout=60, seconds=100))
    async with running_pod(artifact) as pod:
        total = (await play(pod, plan)).total
    assert total.fates == {Fate.ANSWERED: 60}
    assert total.short == 0
    assert total.tokens == sum(SHAPE.lengths(number).output for number in range(60))
    assert total.prompt_tokens == sum(SHAPE.lengths(number).prompt for number in range(60))


async def test_a_full_queue_is_told_as_refusals_and_no_request_is_lost(artifact: Path) -> None:
    plan = Plan((Burst(30, 60, 1),), SHAPE, Limits(timeout=60, seconds=100))
    async with running_pod(artifact, max_concurrent_sequences=2, max_queue=3) as pod:
        total = (await play(pod, plan)).total
    assert total.fates[Fate.ANSWERED] >= 5
    assert total.fates[Fate.ANSWERED] + total.errors["RESOURCE_EXHAUSTED"] == 30


async def test_answers_cut_at_the_drains_limit_are_told_as_cut_and_not_as_lost(
    artifact: Path, tmp_path: Path
) -> None:
    operator = new_operator(tmp_path)
    shape = replace(SHAPE, output=Fixed(400))
    plan = Plan((Closed(2, requests=2),), shape, Limits(timeout=60, seconds=100))
    async with running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=0) as pod:
        pod.gate.hold()
        running = asyncio.create_task(play(pod, plan))
        await pod.until_load(lambda load: load.running + load.waiting == 2)
        await pod.gate.arrive()
        request = pb.DrainRequest(timeout_seconds=0)
        await pod.control.Drain(request, metadata=operator.metadata())
        await eventually(partial(is_draining, pod, operator))
        pod.gate.let_go()
        total = (await running).total
    assert total.fates == {Fate.ABORTED: 2}
    assert total.cut == 2
