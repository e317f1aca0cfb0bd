"""Traffic -> xDS resources. Pure.

The chain is listener, route, clusters, endpoints (gRFC A27, A28). There is one locality: zones
would cut balancing into islands, each with its share however busy its pods are.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import (
    address_pb2,
    base_pb2,
    config_source_pb2,
    extension_pb2,
    health_check_pb2,
)
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as connection_pb2,
)
from envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3 import (
    client_side_weighted_round_robin_pb2 as weighted_pb2,
)
from envoy.extensions.load_balancing_policies.ring_hash.v3 import ring_hash_pb2
from envoy.extensions.load_balancing_policies.round_robin.v3 import round_robin_pb2
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2
from google.protobuf.message import Message

from llm_operator.kube.store import Key
from llm_operator.render import names
from llm_operator.xds.traffic import Endpoint, Health, Policy, Traffic

_PREFIX = "type.googleapis.com/"
LISTENER = _PREFIX + listener_pb2.Listener.DESCRIPTOR.full_name
ROUTE = _PREFIX + route_pb2.RouteConfiguration.DESCRIPTOR.full_name
CLUSTER = _PREFIX + cluster_pb2.Cluster.DESCRIPTOR.full_name
ENDPOINTS = _PREFIX + endpoint_pb2.ClusterLoadAssignment.DESCRIPTOR.full_name

PREFIX_HEADER = "llm-prefix-key"
"""Metadata field by which `PrefixAffinity` finds the pod that has seen a prompt's beginning."""

RETRY_ON = "unavailable,resource-exhausted,cancelled"
"""Tried again before the first message. gRPC servers that shut down answer CANCELLED to calls that
arrive with their GOAWAY (https://github.com/grpc/grpc/issues/41785)."""
RETRIES = 1
REPORT_SECONDS = 1
WEIGHTS_NANOSECONDS = 300_000_000
"""So often clients work weights out anew: reports of several pods come at different times."""
EXPIRATION_SECONDS = 10
"""A pod that reports no load for so long is given the mean of the others."""
MOST_CALLS = 4096
"""Calls that one client may have under way to a revision: the circuit breaker. gRPC's own default,
1024, is within reach of a batch client."""
SMALLEST_RING = 1024
LARGEST_RING = 4096

_ADS = config_source_pb2.ConfigSource(
    ads=config_source_pb2.AggregatedConfigSource(),
    resource_api_version=config_source_pb2.ApiVersion.V3,
)
_HEALTH = {
    Health.READY: health_check_pb2.HEALTHY,
    Health.DRAINING: health_check_pb2.DRAINING,
    Health.UNREADY: health_check_pb2.UNHEALTHY,
}


@dataclass(frozen=True, slots=True)
class Name:
    """What a client subscribes to."""

    type_url: str
    name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource; the version follows from what it says, so every replica gives the same."""

    version: str
    body: any_pb2.Any


def listener_name(key: Key) -> str:
    """Of the listener and its route: what follows `xds:///` in the client's target."""
    return f"{key.name}.{key.namespace}"


def cluster_name(key: Key, service: str) -> str:
    """Of a cluster and its endpoints."""
    revision = service.removeprefix(key.name).removeprefix("-")
    parts = (key.namespace, key.name, revision) if revision else (key.namespace, key.name)
    return "/".join(parts)


def key_of(name: Name) -> Key:
    """The LLMDeployment that a name is of; the inverse of the two above."""
    if name.type_url in (CLUSTER, ENDPOINTS):
        namespace, _, rest = name.name.partition("/")
        return Key(namespace, rest.partition("/")[0])
    deployment, _, namespace = name.name.partition(".")
    return Key(namespace, deployment)


def resources(traffic: Traffic) -> Mapping[Name, Resource]:
    """Everything that clients of one LLMDeployment need."""
    key, name = traffic.key, listener_name(traffic.key)
    found = {Name(LISTENER, name): _listener(name), Name(ROUTE, name): _route(name, traffic)}
    for service, endpoints in traffic.endpoints.items():
        cluster = cluster_name(key, service)
        found[Name(CLUSTER, cluster)] = _cluster(cluster, traffic.policy)
        found[Name(ENDPOINTS, cluster)] = _endpoints(cluster, endpoints, traffic.weights)
    return {name: _resource(message) for name, message in found.items()}


def of_nobody(name: Name) -> Resource | None:
    """The listener and the route of a name that no LLMDeployment has: calls fail at once, and name
    it. gRPC takes silence about a new name for a delay, and waits for 15 s."""
    match name.type_url:
        case t if t == LISTENER:
            return _resource(_listener(name.name))
        case t if t == ROUTE:
            return _resource(route_pb2.RouteConfiguration(name=name.name))
    return None


def _resource(message: Message) -> Resource:
    body = _any(message)
    return Resource(hashlib.sha256(body.value).hexdigest()[:16], body)


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def _listener(name: str) -> listener_pb2.Listener:
    router = connection_pb2.HttpFilter(name="router", typed_config=_any(router_pb2.Router()))
    connection = connection_pb2.HttpConnectionManager(
        rds=connection_pb2.Rds(route_config_name=name, config_source=_ADS), http_filters=[router]
    )
    return listener_pb2.Listener(
        name=name, api_listener=api_listener_pb2.ApiListener(api_listener=_any(connection))
    )


def _route(name: str, traffic: Traffic) -> route_pb2.RouteConfiguration:
    """No timeout of our own: a call's deadline is its caller's."""
    action = _action(traffic)
    action.max_stream_duration.max_stream_duration.CopyFrom(duration_pb2.Duration())
    action.retry_policy.CopyFrom(
        route_components_pb2.RetryPolicy(
            retry_on=RETRY_ON,
            num_retries=wrappers_pb2.UInt32Value(value=RETRIES),
            retry_back_off=route_components_pb2.RetryPolicy.RetryBackOff(
                base_interval=duration_pb2.Duration(nanos=25_000_000),
                max_interval=duration_pb2.Duration(nanos=250_000_000),
            ),
        )
    )
    if traffic.policy is Policy.PREFIX_AFFINITY:
        header = route_components_pb2.RouteAction.HashPolicy.Header(header_name=PREFIX_HEADER)
        action.hash_policy.add(header=header)
    routes = [_every_call(action)]
    if coming := traffic.endpoints.keys() - set(traffic.called):
        # No call gets so far: clients get ready for clusters that will be called.
        routes.append(_every_call(_drawn(traffic.key, dict.fromkeys(sorted(coming), 1))))
    host = route_components_pb2.VirtualHost(name=name, domains=["*"], routes=routes)
    return route_pb2.RouteConfiguration(name=name, virtual_hosts=[host])


def _every_call(action: route_components_pb2.RouteAction) -> route_components_pb2.Route:
    return route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix=""), route=action
    )


def _action(traffic: Traffic) -> route_components_pb2.RouteAction:
    key = traffic.key
    if not traffic.shares:
        return route_components_pb2.RouteAction(cluster=cluster_name(key, key.name))
    weights = {names.revision(key.name, share.revision): share.percent for share in traffic.shares}
    return _drawn(key, weights)


def _drawn(key: Key, weights: Mapping[str, int]) -> route_components_pb2.RouteAction:
    """A random draw for each call, with weights by Service."""
    clusters = [
        route_components_pb2.WeightedCluster.ClusterWeight(
            name=cluster_name(key, service), weight=wrappers_pb2.UInt32Value(value=weight)
        )
        for service, weight in weights.items()
    ]
    return route_components_pb2.RouteAction(
        weighted_clusters=route_components_pb2.WeightedCluster(clusters=clusters)
    )


def _cluster(name: str, policy: Policy) -> cluster_pb2.Cluster:
    limit = circuit_breaker_pb2.CircuitBreakers.Thresholds(
        max_requests=wrappers_pb2.UInt32Value(value=MOST_CALLS)
    )
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.EDS,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=_ADS, service_name=name),
        load_balancing_policy=cluster_pb2.LoadBalancingPolicy(
            policies=[_policy(message) for message in _policies(policy)]
        ),
        lb_policy=cluster_pb2.Cluster.ROUND_ROBIN,
        circuit_breakers=circuit_breaker_pb2.CircuitBreakers(thresholds=[limit]),
    )


def _policies(policy: Policy) -> Iterable[Message]:
    """In the order of preference; a client takes the first that it knows, and refuses a cluster of
    which it knows none."""
    last = round_robin_pb2.RoundRobin()
    match policy:
        case Policy.LEAST_LOAD:
            return _least_load(), last
        case Policy.PREFIX_AFFINITY:
            return _prefix_affinity(), _least_load(), last
        case Policy.ROUND_ROBIN:
            return (last,)


def _least_load() -> weighted_pb2.ClientSideWeightedRoundRobin:
    """The weight is the reported rate over the utilization, and pods report a constant rate."""
    return weighted_pb2.ClientSideWeightedRoundRobin(
        enable_oob_load_report=wrappers_pb2.BoolValue(value=True),
        oob_reporting_period=duration_pb2.Duration(seconds=REPORT_SECONDS),
        blackout_period=duration_pb2.Duration(seconds=REPORT_SECONDS),
        weight_expiration_period=duration_pb2.Duration(seconds=EXPIRATION_SECONDS),
        weight_update_period=duration_pb2.Duration(nanos=WEIGHTS_NANOSECONDS),
    )


def _prefix_affinity() -> ring_hash_pb2.RingHash:
    return ring_hash_pb2.RingHash(
        hash_function=ring_hash_pb2.RingHash.XX_HASH,
        minimum_ring_size=wrappers_pb2.UInt64Value(value=SMALLEST_RING),
        maximum_ring_size=wrappers_pb2.UInt64Value(value=LARGEST_RING),
    )


def _policy(message: Message) -> cluster_pb2.LoadBalancingPolicy.Policy:
    return cluster_pb2.LoadBalancingPolicy.Policy(
        typed_extension_config=extension_pb2.TypedExtensionConfig(
            name=message.DESCRIPTOR.full_name, typed_config=_any(message)
        )
    )


def _endpoints(
    name: str, endpoints: Iterable[Endpoint], weights: Mapping[Endpoint, int]
) -> endpoint_pb2.ClusterLoadAssignment:
    """A locality without endpoints would be dropped; the assignment says the same without one."""
    lb_endpoints = [_endpoint(endpoint, weights.get(endpoint)) for endpoint in endpoints]
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    if lb_endpoints:
        assignment.endpoints.add(
            locality=base_pb2.Locality(region="cluster"),
            load_balancing_weight=wrappers_pb2.UInt32Value(value=1),
            lb_endpoints=lb_endpoints,
        )
    return assignment


def _endpoint(endpoint: Endpoint, weight: int | None) -> endpoint_components_pb2.LbEndpoint:
    address = address_pb2.SocketAddress(address=endpoint.address, port_value=endpoint.port)
    given = wrappers_pb2.UInt32Value(value=weight) if weight is not None else None
    return endpoint_components_pb2.LbEndpoint(
        load_balancing_weight=given,
        endpoint=endpoint_components_pb2.Endpoint(
            address=address_pb2.Address(socket_address=address)
        ),
        health_status=_HEALTH[endpoint.health],
    )
