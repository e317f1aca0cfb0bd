import json

import pytest

from llm_client.transport import CHANNEL_OPTIONS, options_of
from llm_client.ways import Way


@pytest.mark.parametrize("way", [Way.DIRECT, Way.SERVICE])
def test_a_single_address_has_the_plain_options(way: Way) -> None:
    assert options_of(way) == CHANNEL_OPTIONS


def test_pods_are_taken_in_turn_with_the_same_retries() -> None:
    config = json.loads(str(dict(options_of(Way.PODS))["grpc.service_config"]))
    plain = json.loads(str(dict(CHANNEL_OPTIONS)["grpc.service_config"]))
    assert config == {"loadBalancingConfig": [{"round_robin": {}}], **plain}


def test_an_idle_channel_keeps_what_the_control_plane_told() -> None:
    assert dict(options_of(Way.XDS))["grpc.client_idle_timeout_ms"] == 2**31 - 1


@pytest.mark.parametrize("way", list(Way))
def test_no_option_is_given_twice(way: Way) -> None:
    names = [name for name, _ in options_of(way)]
    assert len(names) == len(set(names))
