"""Children beside the pods: names, labels, selectors, owners and rules."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.api.llmdeployment import NAME_LIMIT
from llm_operator.reconcile.actions import Apply
from llm_operator.reconcile.difference import RENDERED
from llm_operator.reconcile.plan import plan
from llm_operator.render import names
from llm_operator.render.network_policy import network_policy
from support import worlds

DNS_LABEL_LIMIT = 63


def children(**spec: Any) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The children of a fresh object."""
    writes = plan(worlds.world(spec)).writes
    applied = (write.manifest for write in writes if isinstance(write, Apply))
    return {(child["kind"], child["metadata"]["name"]): child for child in applied}


@given(name=st.from_regex(rf"[a-z][-a-z0-9]{{0,{NAME_LIMIT - 2}}}[a-z0-9]", fullmatch=True))
def test_every_name_of_a_child_fits_a_dns_label(name: str) -> None:
    made = [
        names.headless_service(name),
        names.control_auth(name),
        names.export_network_policy(name),
        names.export_job(name, "0badcafe"),
        names.revision(name, "0badcafe"),
    ]
    assert max(map(len, made)) <= DNS_LABEL_LIMIT
    assert len(set(made)) == len(made)


def test_every_child_goes_with_its_owner_and_carries_its_name() -> None:
    for child in children().values():
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (worlds.UID, True)
        assert child["metadata"]["labels"]["llm-operator.dev/deployment"] == "demo"
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "llm-operator"


def test_the_address_speaks_http2_in_clear_text() -> None:
    (port,) = children()["Service", "demo"]["spec"]["ports"]
    assert port["appProtocol"] == "kubernetes.io/h2c"
    assert (port["port"], port["targetPort"]) == (50051, "grpc")


def test_the_headless_service_publishes_ready_pods_only() -> None:
    spec = children()["Service", "demo-pods"]["spec"]
    assert spec["clusterIP"] == "None"
    assert not spec.get("publishNotReadyAddresses")


def test_the_control_port_knows_issuer_subject_and_keys() -> None:
    (text,) = children()["ConfigMap", "demo-control-auth"]["data"].values()
    assert '"subject": "system:serviceaccount:llm-system:llm-operator"' in text
    assert '"audience": "llm-operator.dev/control"' in text
    assert '"kid": "one"' in text


def test_without_the_api_servers_keys_the_rest_is_made() -> None:
    writes = plan(worlds.world(control_authority=None)).writes
    kinds = {write.manifest["kind"] for write in writes if isinstance(write, Apply)}
    assert "ConfigMap" not in kinds
    assert "Job" in kinds


def test_an_unready_pod_may_always_be_evicted() -> None:
    made = children(replicas=2, disruption={"maxUnavailable": "25%"})
    spec = made["PodDisruptionBudget", "demo"]["spec"]
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert spec["maxUnavailable"] == "25%"


def test_only_the_operators_pods_reach_the_control_port() -> None:
    policy = children()["NetworkPolicy", "demo"]["spec"]
    (source,) = policy["ingress"][1]["from"]
    assert policy["ingress"][1]["ports"] == [{"protocol": "TCP", "port": 50052}]
    namespace = source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert namespace == "llm-system"
    assert source["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "operator"


def test_serving_pods_reach_names_and_the_registry_alone() -> None:
    policy = children()["NetworkPolicy", "demo"]["spec"]
    dns, registry = policy["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    (to,) = registry["to"]
    found = to["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert found == "llm-system"


def test_a_registry_elsewhere_is_reached_by_its_port() -> None:
    found = worlds.world(settings=worlds.settings(registry="registry.example:5443"))
    spec = network_policy(found.deployment, found.settings)["spec"]
    assert spec["egress"][1] == {"ports": [{"protocol": "TCP", "port": 5443}]}


def test_annotations_of_the_operators_own_are_nobody_elses_to_give() -> None:
    given = {"llm-operator.dev/activator-port": "20001", "example.com/mine": "x"}
    made = children(service={"annotations": given})["Service", "demo"]
    found = set(made["metadata"]["annotations"])
    assert found == {"example.com/mine", RENDERED}
