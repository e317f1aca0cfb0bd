"""How channels to a runtime are made: retries, reconnection, keepalive."""

import json
import time

import grpc

# gRPC retries by itself while no message has arrived, so no answer is ever begun twice for the
# caller. A server that shuts down answers CANCELLED to calls that arrive with its GOAWAY
# (https://github.com/grpc/grpc/issues/41785); the caller's own cancel ends here and is not retried.
_SERVICE_CONFIG = {
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

CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
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

CONNECTING = (grpc.ChannelConnectivity.CONNECTING, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
"""States of a channel that wants a connection and has none. After a server's GOAWAY it is IDLE
while the calls that run there go on."""


def deadline(seconds: float) -> tuple[float, float]:
    """What a call that begins now gets as its timeout, and when that is over (monotonic clock)."""
    return seconds, time.monotonic() + seconds


def is_past(ends: float) -> bool:
    """Whether a deadline is over."""
    return time.monotonic() >= ends
