"""Resources say what gRPC clients understand, and the same thing always has the same version."""

from typing import TypeVar

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.kube.store import Key
from llm_operator.xds.resources import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    PREFIX_HEADER,
    ROUTE,
    Name,
    cluster_name,
    key_of,
    listener_name,
    resources,
)
from llm_operator.xds.traffic import Endpoint, Health, Policy, Share, Traffic

KEY = Key("team", "qwen")
POD, OTHER = Endpoint("10.0.0.1", 50051), Endpoint("10.0.0.2", 50051)
ALIKE = Traffic(key=KEY, endpoints={"qwen": (POD, OTHER)})
SPLIT = Traffic(
    key=KEY,
    shares=(Share("aaaa", 90), Share("bbbb", 10)),
    endpoints={"qwen-aaaa": (POD,), "qwen-bbbb": (OTHER,)},
)
LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


M = TypeVar("M", bound=Message)


def read(traffic: Traffic, name: Name, message: M) -> M:
    assert resources(traffic)[name].body.Unpack(message)
    return message


def route_of(traffic: Traffic) -> route_pb2.RouteConfiguration:
    return read(traffic, Name(ROUTE, "qwen.team"), route_pb2.RouteConfiguration())


def cluster_of(traffic: Traffic, name: str = "team/qwen") -> cluster_pb2.Cluster:
    return read(traffic, Name(CLUSTER, name), cluster_pb2.Cluster())


def endpoints_of(traffic: Traffic) -> endpoint_pb2.ClusterLoadAssignment:
    name = Name(ENDPOINTS, "team/qwen")
    return read(traffic, name, endpoint_pb2.ClusterLoadAssignment())


def policies_of(policy: Policy) -> list[str]:
    cluster = cluster_of(Traffic(key=KEY, policy=policy, endpoints={"qwen": ()}))
    found = cluster.load_balancing_policy.policies
    return [each.typed_extension_config.name.rpartition(".")[2] for each in found]


def test_the_listener_has_the_name_that_clients_dial() -> None:
    listener = read(ALIKE, Name(LISTENER, "qwen.team"), listener_pb2.Listener())
    assert listener.name == "qwen.team"


def test_pods_that_are_alike_are_one_cluster() -> None:
    assert route_of(ALIKE).virtual_hosts[0].routes[0].route.cluster == "team/qwen"
    assert {name.name for name in resources(ALIKE) if name.type_url == CLUSTER} == {"team/qwen"}


def test_revisions_with_shares_are_clusters_with_weights() -> None:
    weighted = route_of(SPLIT).virtual_hosts[0].routes[0].route.weighted_clusters.clusters
    assert {c.name: c.weight.value for c in weighted} == {
        "team/qwen/aaaa": 90,
        "team/qwen/bbbb": 10,
    }
    found = {name.name for name in resources(SPLIT) if name.type_url == ENDPOINTS}
    assert found == {"team/qwen/aaaa", "team/qwen/bbbb"}


def test_clients_get_ready_for_clusters_that_no_call_goes_to_yet() -> None:
    coming = Traffic(key=KEY, endpoints={**ALIKE.endpoints, **SPLIT.endpoints})
    first, second = route_of(coming).virtual_hosts[0].routes
    assert (first.match.prefix, first.route.cluster) == ("", "team/qwen")
    named = {cluster.name for cluster in second.route.weighted_clusters.clusters}
    assert named == {"team/qwen/aaaa", "team/qwen/bbbb"}


@pytest.mark.parametrize("policy", Policy)
def test_the_last_policy_is_one_that_every_client_knows(policy: Policy) -> None:
    assert policies_of(policy)[-1] == "RoundRobin"


def test_the_default_follows_the_pods_reports() -> None:
    assert policies_of(Policy.LEAST_LOAD) == ["ClientSideWeightedRoundRobin", "RoundRobin"]


def test_prefix_affinity_is_a_ring_over_the_header() -> None:
    assert policies_of(Policy.PREFIX_AFFINITY)[0] == "RingHash"
    affine = Traffic(key=KEY, policy=Policy.PREFIX_AFFINITY, endpoints={"qwen": ()})
    (hashed,) = route_of(affine).virtual_hosts[0].routes[0].route.hash_policy
    assert hashed.header.header_name == PREFIX_HEADER


def test_only_prefix_affinity_looks_at_the_header() -> None:
    assert not route_of(ALIKE).virtual_hosts[0].routes[0].route.hash_policy


def test_a_call_is_tried_once_more_and_has_no_deadline_of_ours() -> None:
    action = route_of(ALIKE).virtual_hosts[0].routes[0].route
    assert action.retry_policy.num_retries.value == 1
    assert action.HasField("max_stream_duration")
    assert action.max_stream_duration.max_stream_duration.ToNanoseconds() == 0


def test_all_endpoints_are_in_one_locality_with_their_health() -> None:
    leaving = Endpoint("10.0.0.3", 50051, Health.DRAINING)
    sick = Endpoint("10.0.0.4", 50051, Health.UNREADY)
    (locality,) = endpoints_of(Traffic(key=KEY, endpoints={"qwen": (POD, leaving, sick)})).endpoints
    assert [each.health_status for each in locality.lb_endpoints] == [
        health_check_pb2.HEALTHY,
        health_check_pb2.DRAINING,
        health_check_pb2.UNHEALTHY,
    ]


def test_without_an_endpoint_there_is_an_assignment_that_says_so() -> None:
    assert not endpoints_of(Traffic(key=KEY, endpoints={"qwen": ()})).endpoints


@pytest.mark.parametrize("traffic", [ALIKE, SPLIT])
def test_the_same_traffic_gives_the_same_versions(traffic: Traffic) -> None:
    assert resources(traffic) == resources(traffic)


def test_a_pod_that_comes_changes_its_endpoints_alone() -> None:
    before = resources(Traffic(key=KEY, endpoints={"qwen": (POD,)}))
    after = resources(ALIKE)
    assert {n.type_url for n in before if before[n].version != after[n].version} == {ENDPOINTS}


def test_another_share_changes_the_route_alone() -> None:
    other = Traffic(
        key=KEY, shares=(Share("aaaa", 50), Share("bbbb", 50)), endpoints=SPLIT.endpoints
    )
    before, after = resources(SPLIT), resources(other)
    assert {n.type_url for n in before if before[n].version != after[n].version} == {ROUTE}


@given(LABEL, LABEL, st.from_regex(r"[0-9a-f]{8}", fullmatch=True))
def test_every_name_leads_back_to_its_object(name: str, namespace: str, revision: str) -> None:
    key = Key(namespace, name)
    assert key_of(Name(LISTENER, listener_name(key))) == key
    assert key_of(Name(CLUSTER, cluster_name(key, name))) == key
    assert key_of(Name(ENDPOINTS, cluster_name(key, f"{name}-{revision}"))) == key
