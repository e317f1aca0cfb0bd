"""Under PrefixAffinity an overloaded pod gets fewer prompts, and gets them back."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from llm_operator.xds.load_reports import LoadReports
from llm_operator.xds.resources import PREFIX_HEADER
from llm_operator.xds.traffic import Policy, Traffic, to_be_heard
from support.traffic_stage import KEY, SECONDS, CountingPod, TrafficStage, traffic_stage, until

pytestmark = pytest.mark.timeout(60)
PROMPTS = 300


@pytest.fixture
async def stage() -> AsyncIterator[TrafficStage]:
    """Three pods, whose reports are heard as in the process."""
    async with traffic_stage() as opened:
        reports = LoadReports(opened.board.touched)
        pods = [await opened.pod(name) for name in "abc"]
        shown = Traffic(
            key=KEY,
            policy=Policy.PREFIX_AFFINITY,
            endpoints={KEY.name: tuple(sorted(pod.endpoint for pod in pods))},
        )
        opened.board.look = lambda _: replace(
            shown, weights=reports.follow(KEY, to_be_heard(shown))
        )
        await opened.show(shown)
        yield opened
        await reports.aclose()


async def places(call: Callable[..., Any]) -> Counter[str]:
    """Where each of many prompts goes."""
    found: Counter[str] = Counter()
    for number in range(PROMPTS):
        metadata = ((PREFIX_HEADER, f"{number:016x}"),)
        found[(await call(b"", metadata=metadata, timeout=SECONDS)).decode()] += 1
    return found


async def two_reports(pod: CountingPod) -> None:
    """Returns when it has told twice, so that the first of them was heard."""
    told = pod.reports

    async def has_told() -> bool:
        return pod.reports >= told + 2

    await until(has_told)


async def test_an_overloaded_pod_keeps_part_of_its_prompts_until_it_has_caught_up(
    stage: TrafficStage,
) -> None:
    call = stage.client()
    whole = (await places(call))["a"]
    assert whole > PROMPTS / 5

    stage.pods["a"].utilization = 3.0

    async def has_fewer() -> bool:
        return 0 < (await places(call))["a"] < whole / 2

    await until(has_fewer)
    stage.pods["a"].utilization = 0.1

    async def has_them_back() -> bool:
        return (await places(call))["a"] == whole

    await until(has_them_back)


async def test_a_pod_that_reports_what_cannot_be_true_keeps_its_prompts(
    stage: TrafficStage,
) -> None:
    call = stage.client()
    before = await places(call)
    for lie in (float("nan"), -3.0, 0.0, float("inf")):
        stage.pods["a"].utilization = lie
        await two_reports(stage.pods["a"])
        assert await places(call) == before


async def test_a_pod_that_reports_nothing_keeps_its_prompts(stage: TrafficStage) -> None:
    call = stage.client()
    stage.pods["a"].utilization = 3.0
    whole = (await places(call)).total() / 3

    async def has_fewer() -> bool:
        return (await places(call))["a"] < whole / 2

    await until(has_fewer)
    await stage.pods["a"].stop()
    await stage.pods["a"].start()
    stage.pods["a"].utilization = 0.01

    async def has_them_back() -> bool:
        return (await places(call))["a"] > whole / 2

    await until(has_them_back)
