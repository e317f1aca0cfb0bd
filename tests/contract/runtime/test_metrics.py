import asyncio
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from llm_client import Options, connect
from llm_client.v1 import control_pb2
from support.runtime_pod import Operator, Pod, running_pod


async def scrape(pod: Pod) -> dict[str, float]:
    """Every sample of /metrics by name and labels."""
    url = f"http://127.0.0.1:{pod.app.ports.metrics}/metrics"
    text = (await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())).decode()
    return {
        sample.name
        + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_series_is_there_with_zero_before_the_first_request(artifact: Path) -> None:
    async with running_pod(artifact) as pod:
        samples = await scrape(pod)
    zero = [
        "llm_requests_running",
        "llm_requests_waiting",
        "llm_kv_tokens",
        "llm_draining",
        "llm_requests_received_total",
        "llm_request_prompt_tokens_count",
        "llm_request_generation_tokens_count",
        "llm_prompt_tokens_total",
        "llm_generation_tokens_total",
        "llm_time_to_first_token_seconds_count",
        "llm_inter_token_latency_seconds_count",
        "llm_step_seconds_count",
        "llm_request_success_total{finish_reason=stop}",
        "llm_request_success_total{finish_reason=length}",
        "llm_request_success_total{finish_reason=aborted}",
        "llm_request_failure_total{reason=cancelled}",
        "llm_request_failure_total{reason=deadline}",
        "llm_request_failure_total{reason=slow_client}",
        "llm_admission_rejections_total{reason=queue_full}",
        "llm_admission_rejections_total{reason=queued_tokens}",
    ]
    assert {name: samples[name] for name in zero} == dict.fromkeys(zero, 0.0)
    assert samples["llm_slots"] == 16
    assert samples["llm_ready"] == 1


async def test_a_request_is_counted_token_by_token(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        await client.generate([5] * 30, Options(max_new_tokens=7, ignore_eos=True))
        samples = await scrape(pod)
    assert samples["llm_prompt_tokens_total"] == 30
    assert samples["llm_generation_tokens_total"] == 7
    assert samples["llm_time_to_first_token_seconds_count"] == 1
    assert samples["llm_inter_token_latency_seconds_count"] == 6
    assert samples["llm_step_seconds_count"] == 7
    assert samples["llm_request_success_total{finish_reason=length}"] == 1
    assert samples["llm_requests_received_total"] == 1
    assert samples["llm_request_prompt_tokens_sum"] == 30
    assert samples["llm_request_generation_tokens_sum"] == 7


async def test_labels_come_from_closed_sets_whatever_callers_send(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        before = set(await scrape(pod))
        for index in range(5):
            how = Options(request_id=f"id-{index}", max_new_tokens=2, stop_strings=(f"s{index}",))
            await client.generate(f"prompt {index}", how)
        assert set(await scrape(pod)) == before


async def test_load_says_what_runs_waits_and_is_held(artifact: Path, operator: Operator) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file, max_concurrent_sequences=1) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        how = Options(max_new_tokens=3, ignore_eos=True)
        asked = [asyncio.create_task(client.generate([5] * 10, how)) for _ in range(3)]
        await pod.until_load(lambda load: load.running + load.waiting == 3)
        load = await pod.control.GetLoad(control_pb2.GetLoadRequest(), metadata=operator.metadata())
        gauges = await scrape(pod)
        pod.gate.let_go()
        await asyncio.gather(*asked)
        idle = await pod.control.GetLoad(control_pb2.GetLoadRequest(), metadata=operator.metadata())
    assert load.running_requests + load.waiting_requests == 3
    assert load.prompt_tokens_queued >= 20
    assert (load.slots, load.capacity_tokens) == (1, 512)
    assert load.state == control_pb2.LIFECYCLE_STATE_SERVING
    assert load.requests_received == gauges["llm_requests_received_total"] == 3
    assert gauges["llm_requests_running"] + gauges["llm_requests_waiting"] == 3
    assert (idle.running_requests, idle.waiting_requests, idle.tokens_held) == (0, 0, 0)
    assert idle.tokens_per_second > 0
    assert idle.step_seconds > 0
    assert (idle.mean_prompt_tokens, idle.mean_output_tokens) == (10, 3)
    assert idle.time_to_first_token_p90_seconds > idle.inter_token_latency_p90_seconds > 0


async def test_a_drain_shows_until_it_is_taken_back(artifact: Path, operator: Operator) -> None:
    async with running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=30) as pod:
        metadata = operator.metadata()
        await pod.control.Drain(control_pb2.DrainRequest(), metadata=metadata)
        draining = await scrape(pod)
        await pod.control.Undrain(control_pb2.UndrainRequest(), metadata=metadata)
        serving = await scrape(pod)
    assert (draining["llm_draining"], draining["llm_ready"]) == (1, 0)
    assert (serving["llm_draining"], serving["llm_ready"]) == (0, 1)
