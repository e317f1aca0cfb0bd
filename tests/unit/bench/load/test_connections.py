import json

import pytest
from bench.load.connections import Policy, channel_options

from llm_client.transport import CHANNEL_OPTIONS

OWN_CONNECTIONS = ("grpc.use_local_subchannel_pool", 1)


def test_one_shared_channel_is_as_the_client_makes_it() -> None:
    assert channel_options(Policy.SHARED, retries=True) == CHANNEL_OPTIONS


@pytest.mark.parametrize("policy", [Policy.STREAM, Policy.CALL])
def test_channels_of_a_process_share_connections_unless_told_not_to(policy: Policy) -> None:
    assert OWN_CONNECTIONS in channel_options(policy, retries=True)


def test_round_robin_keeps_the_retries_of_the_client() -> None:
    config = json.loads(str(dict(channel_options(Policy.ROUND_ROBIN, True))["grpc.service_config"]))
    assert config["loadBalancingConfig"] == [{"round_robin": {}}]
    assert config["methodConfig"][0]["retryPolicy"]["maxAttempts"] == 5


def test_refusals_are_shown_when_retries_are_off() -> None:
    assert dict(channel_options(Policy.SHARED, retries=False))["grpc.enable_retries"] == 0
