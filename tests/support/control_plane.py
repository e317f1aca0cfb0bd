"""A small xDS control plane for tests of clients: one listener, route and cluster per name.

It says what it is told to say, at once and to everybody; what the real one decides is its own
matter. A name that was not published is not answered at all.

gRPC's own back-off belongs to an address, not to a channel, and outlives channels: after a control
plane has ended, this process may take seconds to connect to the next one on its port. So a control
plane begins with being reached.
"""

import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import UInt32Value

from support.waiting import until

Addresses = Sequence[str] | None
Endpoints = Mapping[str, Addresses]
"""What is served: `<name>.<namespace>` and the HOST:PORTs behind it. None says that there is no
such name: its route leads nowhere."""

REACHED = "is-it.there"
"""A name of no model that every control plane here answers."""

_ADS = config_source_pb2.ConfigSource(ads=config_source_pb2.AggregatedConfigSource())
_KEY = "llm-prefix-key"


class ControlPlane(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """Answers every stream with what was published last."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = {REACHED: None, **endpoints}
        self._streams: set[queue.SimpleQueue[Any]] = set()

    def publish(self, endpoints: Endpoints) -> None:
        """Replaces what is served; streams hear of it at once."""
        self._endpoints = {REACHED: None, **endpoints}
        for stream in tuple(self._streams):
            stream.put(None)

    def StreamAggregatedResources(  # noqa: N802
        self, requests: Iterator[discovery_pb2.DiscoveryRequest], context: grpc.ServicerContext
    ) -> Iterator[discovery_pb2.DiscoveryResponse]:
        news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._streams.add(news)
        context.add_callback(lambda: news.put(StopIteration))
        Thread(target=_read, args=(requests, news), daemon=True).start()
        wanted: dict[str, tuple[str, ...]] = {}
        version = 0
        try:
            while (request := news.get()) is not StopIteration:
                version += 1
                for kind in self._stale(request, wanted):
                    yield self._response(kind, wanted[kind], version)
        finally:
            self._streams.discard(news)

    def _stale(
        self, request: discovery_pb2.DiscoveryRequest | None, wanted: dict[str, tuple[str, ...]]
    ) -> list[str]:
        """The kinds to answer with: all on news, the asked one when other names are wanted."""
        if request is None:
            return list(wanted)
        names = tuple(request.resource_names)
        if wanted.get(request.type_url) == names:
            return []  # an ACK
        wanted[request.type_url] = names
        return [request.type_url]

    def _response(
        self, kind: str, names: Sequence[str], version: int
    ) -> discovery_pb2.DiscoveryResponse:
        make = _MAKERS[kind.rpartition(".")[2]]
        known = [name for name in names if name in self._endpoints]
        return discovery_pb2.DiscoveryResponse(
            version_info=str(version),
            nonce=str(version),
            type_url=kind,
            resources=[_any(make(name, self._endpoints[name])) for name in known],
        )


@contextmanager
def control_plane(endpoints: Endpoints, port: int) -> Iterator[ControlPlane]:
    """A control plane on loopback, while the block runs; this process' bootstrap names the port."""
    with futures.ThreadPoolExecutor(16) as pool:
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        server.add_insecure_port(f"127.0.0.1:{port}")
        plane = ControlPlane(endpoints)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(plane, server)
        server.start()
        try:
            until(_is_reached, seconds=60, what="gRPC to connect to the control plane", every=0.02)
            yield plane
        finally:
            server.stop(None).wait()


def _is_reached() -> bool:
    """Whether this process' xDS client has heard from its control plane."""
    with grpc.insecure_channel(f"xds:///{REACHED}") as channel:
        asked = channel.unary_unary("/any/Call", None, None).future(b"", timeout=10)
        return "could not find VirtualHost" in (asked.details() or "")


def _read(requests: Iterator[Any], news: queue.SimpleQueue[Any]) -> None:
    with suppress(grpc.RpcError):
        for request in requests:
            news.put(request)
    news.put(StopIteration)


def _listener(name: str, _: Addresses) -> Any:
    manager = hcm_pb2.HttpConnectionManager(
        rds=hcm_pb2.Rds(route_config_name=name, config_source=_ADS),
        http_filters=[hcm_pb2.HttpFilter(name="router", typed_config=_any(router_pb2.Router()))],
    )
    return listener_pb2.Listener(
        name=name, api_listener=api_listener_pb2.ApiListener(api_listener=_any(manager))
    )


def _route(name: str, addresses: Addresses) -> Any:
    """Hashes the client's key, and tries a refused call once more, as the real one does."""
    parts = route_components_pb2
    action = parts.RouteAction(
        cluster=name,
        hash_policy=[
            parts.RouteAction.HashPolicy(
                header=parts.RouteAction.HashPolicy.Header(header_name=_KEY)
            )
        ],
        retry_policy=parts.RetryPolicy(
            retry_on="unavailable,resource-exhausted,cancelled", num_retries=UInt32Value(value=1)
        ),
    )
    host = parts.VirtualHost(
        name="all",
        domains=["*"],
        routes=[parts.Route(match=parts.RouteMatch(prefix=""), route=action)],
    )
    hosts = [] if addresses is None else [host]
    return route_pb2.RouteConfiguration(name=name, virtual_hosts=hosts)


def _cluster(name: str, _: Addresses) -> Any:
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.EDS,
        lb_policy=cluster_pb2.Cluster.RING_HASH,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=_ADS),
    )


def _assignment(name: str, addresses: Addresses) -> Any:
    return endpoint_pb2.ClusterLoadAssignment(
        cluster_name=name,
        endpoints=[
            endpoint_components_pb2.LocalityLbEndpoints(
                locality=base_pb2.Locality(region="here"),
                load_balancing_weight=UInt32Value(value=1),
                lb_endpoints=[_endpoint(each) for each in addresses or ()],
            )
        ],
    )


def _endpoint(address: str) -> Any:
    host, _, port = address.rpartition(":")
    socket = address_pb2.SocketAddress(address=host, port_value=int(port))
    return endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(
            address=address_pb2.Address(socket_address=socket)
        )
    )


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


_MAKERS = {
    "Listener": _listener,
    "RouteConfiguration": _route,
    "Cluster": _cluster,
    "ClusterLoadAssignment": _assignment,
}
