"""Traffic is read from objects as they may be."""

from typing import Any

import pytest

from llm_operator.kube.store import Key
from llm_operator.render import names
from llm_operator.xds.traffic import (
    Endpoint,
    Health,
    Policy,
    Share,
    of_traffic,
    traffic,
)


def deployment(**parts: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": "qwen", "resourceVersion": "7"}, **parts}


def shared(*shares: tuple[str, int]) -> dict[str, Any]:
    told = [{"revision": revision, "percent": percent} for revision, percent in shares]
    return deployment(status={"rollout": {"weights": {"shares": told}}})


def a_slice(service: str, *endpoints: dict[str, Any], port: int = 50051) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": "metrics", "port": 1}, {"name": "grpc", "port": port}],
        "endpoints": list(endpoints),
    }


def endpoint(address: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "conditions": conditions}


def test_without_shares_the_pods_of_the_main_service_are_all_alike() -> None:
    slices = [a_slice("qwen", endpoint("10.0.0.2", ready=True)), a_slice("qwen-aaaa1111")]
    found = traffic(deployment(), slices)
    assert found.key == Key("team", "qwen")
    assert found.shares == ()
    assert found.endpoints == {"qwen": (Endpoint("10.0.0.2", 50051),)}


def test_with_shares_each_revision_has_the_pods_of_its_own_service() -> None:
    slices = [
        a_slice("qwen", endpoint("10.0.0.1"), endpoint("10.0.0.2")),
        a_slice("qwen-aaaa1111", endpoint("10.0.0.1")),
        a_slice("qwen-bbbb2222", endpoint("10.0.0.2")),
    ]
    found = traffic(shared(("aaaa1111", 90), ("bbbb2222", 10)), slices)
    assert found.shares == (Share("aaaa1111", 90), Share("bbbb2222", 10))
    assert found.endpoints == {
        "qwen-aaaa1111": (Endpoint("10.0.0.1", 50051),),
        "qwen-bbbb2222": (Endpoint("10.0.0.2", 50051),),
    }


def test_a_revision_without_a_share_is_no_part_of_the_traffic() -> None:
    assert traffic(shared(("aaaa1111", 100), ("bbbb2222", 0)), []).shares == (
        Share("aaaa1111", 100),
    )


def test_shares_of_zero_alone_leave_the_main_service() -> None:
    assert traffic(shared(("aaaa1111", 0)), []).endpoints == {"qwen": ()}


@pytest.mark.parametrize(
    ("conditions", "health"),
    [
        ({}, Health.READY),
        ({"ready": True, "serving": True, "terminating": False}, Health.READY),
        ({"ready": False, "serving": True, "terminating": True}, Health.DRAINING),
        ({"ready": False, "serving": False, "terminating": True}, Health.UNREADY),
        ({"ready": False, "serving": False}, Health.UNREADY),
    ],
)
def test_health_follows_the_conditions_of_the_slice(
    conditions: dict[str, bool], health: Health
) -> None:
    found = traffic(deployment(), [a_slice("qwen", endpoint("10.0.0.1", **conditions))])
    assert found.endpoints["qwen"][0].health is health


def test_a_pod_that_is_in_two_slices_is_there_once_and_ready_if_one_says_so() -> None:
    slices = [
        a_slice("qwen", endpoint("10.0.0.1", ready=False)),
        a_slice("qwen", endpoint("10.0.0.1", ready=True)),
    ]
    (only,) = traffic(deployment(), slices).endpoints["qwen"]
    assert only.health is Health.READY


def test_the_activator_stands_beside_the_pods_with_a_port_of_its_own() -> None:
    slices = [a_slice("qwen"), a_slice("qwen", endpoint("10.0.9.9", ready=True), port=20_417)]
    assert traffic(deployment(), slices).endpoints["qwen"] == (Endpoint("10.0.9.9", 20_417),)


@pytest.mark.parametrize("told", ["LeastLoad", "RoundRobin", "PrefixAffinity"])
def test_the_policy_is_the_objects(told: str) -> None:
    found = traffic(deployment(spec={"routing": {"policy": told}}), [])
    assert found.policy is Policy(told)


@pytest.mark.parametrize("spec", [None, {}, {"routing": None}, {"routing": {"policy": "Newer"}}])
def test_a_policy_that_is_not_known_is_the_default(spec: dict[str, Any] | None) -> None:
    assert traffic(deployment(spec=spec), []).policy is Policy.LEAST_LOAD


def test_ports_of_other_names_and_slices_without_endpoints_count_for_nothing() -> None:
    odd = {
        "metadata": {"labels": {"kubernetes.io/service-name": "qwen"}},
        "ports": [{"name": "http", "port": 80}, {"name": "grpc"}],
        "endpoints": [endpoint("10.0.0.1")],
    }
    empty = {**odd, "ports": None, "endpoints": None}
    unlabelled = {"metadata": {}, "ports": odd["ports"], "endpoints": odd["endpoints"]}
    assert traffic(deployment(), [odd, empty, unlabelled]).endpoints == {"qwen": ()}


def test_what_is_kept_of_an_object_gives_the_same_traffic() -> None:
    whole = shared(("aaaa1111", 90), ("bbbb2222", 10)) | {
        "spec": {"routing": {"policy": "RoundRobin"}, "replicas": 3}
    }
    assert traffic(of_traffic(whole), []) == traffic(whole, [])


def test_a_change_of_all_else_is_no_news() -> None:
    one, other = deployment(spec={"replicas": 1}), deployment(spec={"replicas": 2})
    assert of_traffic(one) == of_traffic(other)


def test_the_name_of_a_revisions_service_is_that_of_the_renderer() -> None:
    found = traffic(shared(("aaaa1111", 100)), [])
    assert list(found.endpoints) == [names.revision("qwen", "aaaa1111")] == ["qwen-aaaa1111"]
