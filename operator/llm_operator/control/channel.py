"""How the operator speaks to a control port: an address, its channel, its token."""

from typing import NamedTuple

import grpc.aio

CONTROL_PORT = 50052

OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # pods are never behind a web proxy
    ("grpc.max_receive_message_length", 1024 * 1024),
    ("grpc.use_local_subchannel_pool", 1),  # a pod that takes over an address is another pod
    ("grpc.keepalive_time_ms", 20_000),  # a node that went away is noticed within 30 s
    ("grpc.keepalive_timeout_ms", 10_000),
)


class Endpoint(NamedTuple):
    """One pod's control port. The uid tells a pod from a later one with its address."""

    uid: str
    address: str


def channel_to(address: str, port: int = CONTROL_PORT) -> grpc.aio.Channel:
    """A channel to the pod with this IP; to be closed by the caller."""
    host = f"[{address}]" if ":" in address else address
    return grpc.aio.insecure_channel(f"{host}:{port}", options=OPTIONS)


def authorization(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata that names the caller."""
    return (("authorization", f"Bearer {token}"),)
