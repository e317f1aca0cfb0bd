"""Any mix of requests at any time:

nothing leaks, and whoever gets an answer gets the one of a solo run.
"""

import asyncio
import random
from pathlib import Path

import pytest

from llm_client import Client, LLMError, Options, connect
from llm_runtime.engine.batch import Load
from support.runtime_pod import Pod, eventually, running_pod

KINDS = 24
SLOTS, QUEUE = 6, 12
ALLOWED = {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}


def kind(index: int) -> tuple[list[int], Options]:
    """One of a few requests of very different shapes."""
    prompt = [5 + (index * 31 + position * 7) % 500 for position in range(1 + index * 17 % 300)]
    return prompt, Options(
        max_new_tokens=1 + index * 13 % 90,
        temperature=float(index % 3),
        top_k=40 if index % 2 else 0,
        seed=index,
        ignore_eos=index % 4 == 0,
        stop_strings=("e",) if index % 5 == 0 else (),
    )


async def ask(client: Client, index: int, fate: str) -> tuple[int, str] | str:
    """The answer of a request, or what became of it."""
    prompt, options = kind(index)
    try:
        match fate:
            case "leaves":
                stream = client.stream(prompt, options)
                await anext(stream, None)
                await stream.aclose()
                return "left"
            case "hurries":
                answer = await client.generate(prompt, options, timeout=0.02)
            case "errs":
                answer = await client.generate(prompt, Options(top_p=7.0))
            case _:
                answer = await client.generate(prompt, options)
    except LLMError as error:
        return error.code
    return index, answer.text


async def soak(client: Client, requests: int, dice: random.Random) -> list[tuple[int, str] | str]:
    """Sends requests, as many at a time as there is room for, each with its own fate."""
    places = asyncio.Semaphore(SLOTS + QUEUE)

    async def one() -> tuple[int, str] | str:
        async with places:
            fate = dice.choice(("stays", "stays", "stays", "leaves", "hurries", "errs"))
            return await ask(client, dice.randrange(KINDS), fate)

    return await asyncio.gather(*(one() for _ in range(requests)))


async def room(pod: Pod, client: Client) -> int:
    """How many requests find a slot or a place in the queue."""
    pod.gate.hold()
    asked = [asyncio.create_task(ask(client, 3, "stays")) for _ in range(SLOTS + QUEUE + 5)]
    await eventually(lambda: sum(task.done() for task in asked) >= 5)
    pod.gate.let_go()
    outcomes = await asyncio.gather(*asked)
    return len(asked) - outcomes.count("RESOURCE_EXHAUSTED")


async def check(artifact: Path, requests: int, seed: int) -> None:
    async with (
        running_pod(artifact, max_concurrent_sequences=SLOTS, max_queue=QUEUE) as pod,
        connect(pod.target) as client,
    ):
        alone = {}
        for index in range(KINDS):
            alone[index] = (await client.generate(*kind(index))).text
        outcomes = await soak(client, requests, random.Random(seed))  # noqa: S311
        await pod.until_load(lambda load: load == Load())
        assert await room(pod, client) == SLOTS + QUEUE
    answers = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    codes = {outcome for outcome in outcomes if isinstance(outcome, str)}
    assert codes <= ALLOWED | {"left"}
    assert len(answers) > requests / 5
    assert all(text == alone[index] for index, text in answers)


async def test_two_hundred_requests_of_all_kinds_leave_no_trace(artifact: Path) -> None:
    await check(artifact, requests=200, seed=1)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_five_thousand_requests_of_all_kinds_leave_no_trace(artifact: Path) -> None:
    await check(artifact, requests=5000, seed=2)
