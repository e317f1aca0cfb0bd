"""How channels to a runtime are made: balancing, retries, reconnection, keepalive."""

import json
import time
from typing import Any

import grpc

from llm_client.ways import Way

Options = tuple[tuple[str, int | str], ...]

# gRPC retries by itself while no message has arrived, so no answer is ever begun twice for the
# caller. A server that shuts down answers CANCELLED to calls that arrive with its GOAWAY
# (https://github.com/grpc/grpc/issues/41785); the caller's own cancel ends here and is not retried.
# By xDS the control plane's route decides in place of this.
_SERVICE_CONFIG: dict[str, Any] = {
    "methodConfig": [
        {
            "name": [{"service": "llm.v1.Inference"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}

CHANNEL_OPTIONS: Options = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    # A pod that went away is replaced within a moment; the default waits a second before it looks.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 5000),
    # A peer that vanished without a word is noticed within 40 s, also during a long prefill.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 4 << 20),
)

ROUND_ROBIN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], **_SERVICE_CONFIG})
"""A service config that takes all addresses in turn, with the same retries."""

LOOKING: Options = (
    # Not what another channel of the process has found at that address some time ago.
    ("grpc.use_local_subchannel_pool", 1),
)
"""Options of a channel that only sees whether somebody is there."""

HEALTH = "/grpc.health.v1.Health/Check"
"""A method that every server answers, and the activator without waking a model; for trials."""

_OF_WAY: dict[Way, Options] = {
    # A channel without calls for half an hour would forget what the control plane told, which may
    # be gone when the next call comes.
    Way.XDS: (("grpc.client_idle_timeout_ms", 2**31 - 1),),
    Way.PODS: (
        ("grpc.service_config", ROUND_ROBIN),
        # Pods that are replaced all at once: the default asks DNS twice a minute at most.
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ),
}

FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE
"""State of a channel that tried and has no connection. It stays in it until it has one."""
CONNECTING = (grpc.ChannelConnectivity.CONNECTING, FAILED)
"""States of a channel that wants a connection and has none. After a server's GOAWAY it is IDLE
while the calls that run there go on."""


def options_of(way: Way) -> Options:
    """The options of a channel."""
    return tuple({**dict(CHANNEL_OPTIONS), **dict(_OF_WAY.get(way, ()))}.items())


def deadline(seconds: float) -> float:
    """When a call that begins now is over (monotonic clock)."""
    return time.monotonic() + seconds


def left(ends: float) -> float:
    """Seconds until a deadline."""
    return max(0.0, ends - time.monotonic())
