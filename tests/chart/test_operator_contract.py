"""The chart and the operator's program agree: settings, rights, labels and the pods' identity."""

from typing import Any

import pytest

from chart.rendering import Helm, Manifest, Objects
from llm_operator.kube.resources import (
    CHILDREN,
    EVENT,
    GRPC_ROUTE,
    HORIZONTAL_POD_AUTOSCALER,
    LEASE,
    LLM_DEPLOYMENT,
    NEWS,
    NODE,
    POD,
    Resource,
)
from llm_operator.render import labels
from llm_operator.settings import PREFIX, Settings
from llm_operator.wiring import rendering

FIELD_VALUES = {
    "metadata.namespace": "llm-system",
    "metadata.name": "llm-operator-0",
    "spec.serviceAccountName": "llm-operator",
}
WRITTEN = {"get", "list", "watch", "create", "patch"}
DELETED = {
    "ControllerRevision",
    "Deployment",
    "EndpointSlice",
    "GRPCRoute",
    "Job",
    "Service",
}  # the rest is garbage collected


def _environment(objects: Objects) -> dict[str, str]:
    container = _operator(objects)["spec"]["containers"][0]
    return {entry["name"]: _value(entry) for entry in container["env"]}


def _value(entry: dict[str, Any]) -> str:
    if "value" in entry:
        return str(entry["value"])
    return FIELD_VALUES[entry["valueFrom"]["fieldRef"]["fieldPath"]]


def _operator(objects: Objects) -> Manifest:
    template: Manifest = objects.named("Deployment", "llm-operator")["spec"]["template"]
    return template


def _verbs(objects: Objects, resource: Resource, subresource: str = "") -> set[str]:
    name = f"{resource.plural}/{subresource}" if subresource else resource.plural
    return {
        verb
        for rule in objects.rules()
        if resource.group in rule["apiGroups"] and name in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_chart_sets_every_setting_of_the_operator(defaults: Objects) -> None:
    known = {PREFIX + name.upper() for name in Settings.__dataclass_fields__}

    assert set(_environment(defaults)) == known


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"watchNamespaces": ["b", "a"]},
        {"registry": {"enabled": False, "external": {"url": "r.example:5000"}}},
        {"operator": {"leaseSeconds": 3, "resyncSeconds": 1, "workers": 100, "logLevel": "ERROR"}},
        {"operator": {"leaseSeconds": 300, "resyncSeconds": 86400, "workers": 1}},
    ],
)
def test_the_operator_accepts_the_settings_of_the_chart(helm: Helm, values: dict[str, Any]) -> None:
    settings = Settings.from_env(_environment(helm.objects(values)))

    assert settings.watch_namespaces == tuple(sorted(values.get("watchNamespaces", ())))


@pytest.mark.parametrize("namespaces", [[], ["a"]])
def test_nodes_are_watched_where_the_operator_may_read_them(
    helm: Helm, namespaces: list[str]
) -> None:
    objects = helm.objects({"watchNamespaces": namespaces})
    may_read = any("nodes" in rule["resources"] for rule in objects.rules())

    assert rendering(Settings.from_env(_environment(objects))).watches_nodes is may_read
    assert may_read is not bool(namespaces)


def test_the_embedded_registry_is_read_and_written_by_its_two_services(defaults: Objects) -> None:
    settings = Settings.from_env(_environment(defaults))

    assert settings.registry == "llm-operator-registry.llm-system.svc:5000"
    assert settings.registry_push == "llm-operator-registry-push.llm-system.svc:5001"
    assert settings.registry_plain_http
    for address in (settings.registry, settings.registry_push):
        name, _, port = address.partition(".llm-system.svc:")
        service = defaults.named("Service", name)
        assert service["spec"]["ports"][0]["port"] == int(port)


def test_the_rights_are_the_kinds_that_the_operator_keeps_and_no_others(defaults: Objects) -> None:
    children, read = (*CHILDREN, GRPC_ROUTE), (NEWS, NODE, HORIZONTAL_POD_AUTOSCALER)
    kept = {(r.group, r.plural) for r in (*children, LLM_DEPLOYMENT, EVENT, POD, LEASE, *read)}
    kept |= {("authentication.k8s.io", "tokenreviews")}  # the activator's
    granted = {
        (group, resource.partition("/")[0])
        for rule in defaults.rules()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert granted == kept
    rights = {child.kind: _verbs(defaults, child) for child in children}
    assert {kind for kind, verbs in rights.items() if verbs == WRITTEN | {"delete"}} == DELETED
    assert all(verbs == WRITTEN for kind, verbs in rights.items() if kind not in DELETED)
    assert _verbs(defaults, POD) == {"list", "watch", "patch"}
    assert _verbs(defaults, NEWS) == {"list"}
    assert _verbs(defaults, NODE) == {"list", "watch"}
    assert _verbs(defaults, HORIZONTAL_POD_AUTOSCALER) == {"list", "watch"}
    assert _verbs(defaults, LLM_DEPLOYMENT) == {"get", "list", "watch"}
    assert _verbs(defaults, LLM_DEPLOYMENT, "status") == {"patch"}
    assert _verbs(defaults, EVENT) == {"create", "patch"}


def test_the_lease_is_the_only_one_that_may_be_changed(defaults: Objects) -> None:
    changing = [
        rule
        for rule in defaults.rules()
        if LEASE.plural in rule["resources"] and rule["verbs"] != ["create"]
    ]

    assert [rule.get("resourceNames") for rule in changing] == [["llm-operator"]]


def test_serving_pods_admit_the_operator_by_the_labels_of_its_pods(defaults: Objects) -> None:
    found = _operator(defaults)["metadata"]["labels"]

    assert found["app.kubernetes.io/name"] == "llm-operator"
    assert found["app.kubernetes.io/component"] == "operator"


def test_only_export_pods_reach_the_registry_that_writes(defaults: Objects) -> None:
    policy = defaults.named("NetworkPolicy", "llm-operator-registry")
    (writers,) = [
        rule["from"]
        for rule in policy["spec"]["ingress"]
        if [port["port"] for port in rule["ports"]] == ["write"]
    ]
    chosen = writers[0]["podSelector"]["matchLabels"]

    assert chosen.items() <= labels.common("any", "export").items()
    assert not chosen.items() <= labels.common("any", "runtime").items()


def test_the_control_token_has_an_audience_of_its_own(defaults: Objects) -> None:
    volumes = {volume["name"]: volume for volume in _operator(defaults)["spec"]["volumes"]}
    token = volumes["control-token"]["projected"]["sources"][0]["serviceAccountToken"]
    (mount,) = [
        mount
        for mount in _operator(defaults)["spec"]["containers"][0]["volumeMounts"]
        if mount["name"] == "control-token"
    ]

    assert token["audience"] == "llm-operator.dev/control"
    settings = Settings.from_env(_environment(defaults))
    assert settings.control_token_file == f"{mount['mountPath']}/{token['path']}"
