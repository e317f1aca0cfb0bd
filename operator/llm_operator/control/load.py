"""Reads what a pod reports: a figure that cannot be true makes the report no report."""

import math

from llm_client.v1 import control_pb2
from llm_operator.autoscale.signals import PodLoad, PodState

MOST_TOKENS = 1 << 40
MOST_REQUESTS = 1 << 24
MOST_SECONDS = 86_400.0
LONGEST_LIFE_SECONDS = 1e9

_STATES = {
    control_pb2.LIFECYCLE_STATE_STARTING: PodState.STARTING,
    control_pb2.LIFECYCLE_STATE_SERVING: PodState.SERVING,
    control_pb2.LIFECYCLE_STATE_LAME_DUCK: PodState.LAME_DUCK,
    control_pb2.LIFECYCLE_STATE_DRAINING: PodState.DRAINING,
    control_pb2.LIFECYCLE_STATE_DRAINED: PodState.DRAINED,
    control_pb2.LIFECYCLE_STATE_FAILED: PodState.FAILED,
}


def pod_load(answer: control_pb2.GetLoadResponse) -> PodLoad | None:
    """The load that a pod reports; None where a figure cannot be true (the pod then counts as one
    that gives no metrics)."""
    state = _STATES.get(answer.state)
    counts = (answer.running_requests, answer.waiting_requests, answer.slots)
    tokens = (answer.tokens_held, answer.prompt_tokens_queued, answer.capacity_tokens)
    seconds = (
        answer.step_seconds,
        answer.time_to_first_token_p90_seconds,
        answer.inter_token_latency_p90_seconds,
    )
    means = (answer.tokens_per_second, answer.mean_prompt_tokens, answer.mean_output_tokens)
    credible = (
        all(count <= MOST_REQUESTS for count in counts)
        and all(count <= MOST_TOKENS for count in tokens)
        and all(_is_within(value, MOST_SECONDS) for value in seconds)
        and all(_is_within(value, MOST_TOKENS) for value in means)
        and _is_within(answer.at_seconds, LONGEST_LIFE_SECONDS)
        and _is_within(answer.request_seconds, answer.at_seconds * MOST_REQUESTS)
        and answer.running_requests <= answer.slots
        and (answer.slots > 0) == (answer.capacity_tokens > 0)
    )
    if state is None or not credible:
        return None
    return PodLoad(
        running=answer.running_requests,
        waiting=answer.waiting_requests,
        tokens_held=answer.tokens_held,
        prompt_tokens_queued=answer.prompt_tokens_queued,
        capacity_tokens=answer.capacity_tokens,
        slots=answer.slots,
        state=state,
        tokens_per_second=answer.tokens_per_second,
        step_seconds=answer.step_seconds,
        first_token_p90=answer.time_to_first_token_p90_seconds,
        inter_token_p90=answer.inter_token_latency_p90_seconds,
        mean_prompt=answer.mean_prompt_tokens,
        mean_output=answer.mean_output_tokens,
        received=answer.requests_received,
        cut_off=min(answer.requests_cut_off, MOST_REQUESTS),
        at_seconds=answer.at_seconds,
        request_seconds=answer.request_seconds,
    )


def _is_within(value: float, limit: float) -> bool:
    return math.isfinite(value) and 0.0 <= value <= limit
