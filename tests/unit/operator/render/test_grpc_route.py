"""The route: which Gateways, which names, and how calls are shared."""

from typing import Any

from llm_operator.api.llmdeployment import GatewaySpec
from llm_operator.render.grpc_route import grpc_route
from support import worlds

GATEWAY = {
    "parentRefs": [{"name": "public", "namespace": "infra", "sectionName": "grpc", "port": 443}],
    "hostnames": ["demo.example.com"],
}


def route(gateway: dict[str, Any] | None = None, **shares: int) -> dict[str, Any]:
    spec = GatewaySpec.model_validate(gateway or GATEWAY)
    return grpc_route(worlds.world().deployment, spec, 50051, shares)


def weights(made: dict[str, Any]) -> dict[str, int]:
    (rule,) = made["spec"]["rules"]
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


def test_where_pods_are_alike_every_call_goes_to_the_service() -> None:
    assert weights(route()) == {"demo": 100}


def test_revisions_get_the_shares_that_other_clients_are_told() -> None:
    assert weights(route(aaaaaaaa=80, bbbbbbbb=20)) == {"demo-aaaaaaaa": 80, "demo-bbbbbbbb": 20}


def test_a_revision_without_a_share_is_no_backend() -> None:
    """Its Service may not be there yet, or not any more: a Gateway would complain."""
    assert weights(route(aaaaaaaa=100, bbbbbbbb=0)) == {"demo-aaaaaaaa": 100}


def test_backends_are_services_on_the_port_of_the_spec() -> None:
    (rule,) = route()["spec"]["rules"]
    (backend,) = rule["backendRefs"]
    assert (backend["group"], backend["kind"], backend["port"]) == ("", "Service", 50051)


def test_the_gateways_are_those_of_the_spec() -> None:
    (parent,) = route()["spec"]["parentRefs"]
    assert parent == {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": "public",
        "namespace": "infra",
        "sectionName": "grpc",
        "port": 443,
    }


def test_a_gateway_in_the_same_namespace_needs_its_name_alone() -> None:
    (parent,) = route({"parentRefs": [{"name": "public"}]})["spec"]["parentRefs"]
    assert parent.keys() == {"group", "kind", "name"}


def test_the_names_that_clients_call_are_those_of_the_spec() -> None:
    assert route()["spec"]["hostnames"] == ["demo.example.com"]


def test_a_route_for_every_name_says_so_and_notices_one_that_was_added() -> None:
    assert route({"parentRefs": [{"name": "public"}]})["spec"]["hostnames"] == []


def test_a_stream_may_last_as_long_as_its_answer() -> None:
    (rule,) = route()["spec"]["rules"]
    assert "timeouts" not in rule
