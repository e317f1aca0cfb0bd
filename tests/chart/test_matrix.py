"""What holds for the chart however its values are combined."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from chart.matrix import CHOICES, pairs, pairwise, values_of
from chart.rendering import CHART, Helm, Manifest, Objects
from support.restricted import violations


def test_the_matrix_holds_every_pair_of_choices() -> None:
    cases = pairwise(CHOICES)

    for pair in pairs(CHOICES):
        assert any(all(case[name] == index for name, index in pair) for case in cases), pair
    assert len(cases) < 60


def test_every_pod_is_restricted(matrix: list[Objects]) -> None:
    found = {
        (name, violation)
        for objects in matrix
        for name, pod in objects.pods()
        for violation in violations(pod["spec"])
    }

    # These are those that talk to the API server.
    assert found == {
        ("llm-operator", "automountServiceAccountToken"),
        ("llm-operator-activator", "automountServiceAccountToken"),
        ("llm-operator-xds", "automountServiceAccountToken"),
    }


def test_every_container_states_its_resources_and_probes(matrix: list[Objects]) -> None:
    for objects in matrix:
        for name, pod in objects.pods():
            for container in pod["spec"]["containers"]:
                assert container["resources"]["limits"]["memory"], name
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name


def test_no_rule_reads_secrets_or_holds_a_wildcard(matrix: list[Objects]) -> None:
    for objects in matrix:
        for role in (*objects.of("Role"), *objects.of("ClusterRole")):
            for rule in role["rules"]:
                words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
                assert not words & {"*", "secrets", "escalate", "bind", "impersonate"}
                assert not {resource for resource in rule["resources"] if "exec" in resource}


def test_a_named_namespace_leaves_no_right_anywhere_else(helm: Helm) -> None:
    closed = {
        "rbac": {"aggregateToUserRoles": False},
        # These two may ask whose a token is, which is no right on objects.
        "activator": {"enabled": False},
        "xds": {"enabled": False},
    }
    objects = helm.objects({"watchNamespaces": ["b", "a"], **closed})

    assert not objects.of("ClusterRole")
    assert not objects.of("ClusterRoleBinding")
    assert [role["metadata"]["namespace"] for role in objects.of("Role")] == [
        "llm-system",
        "a",
        "b",
    ]


def test_names_are_unique(matrix: list[Objects]) -> None:
    for objects in matrix:
        counted = Counter(
            (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
            for item in objects.all
        )
        assert counted.most_common(1)[0][1] == 1


def test_whatever_an_object_names_is_rendered_too(matrix: list[Objects]) -> None:
    for objects in matrix:
        missing = [
            reference for reference in _references(objects) if not _exists(objects, reference)
        ]
        assert not missing


def test_services_and_policies_select_pods_and_name_their_ports(matrix: list[Objects]) -> None:
    for objects in matrix:
        pods = [pod for _, pod in objects.pods()]
        for service in objects.of("Service"):
            chosen = _selected(pods, service["spec"]["selector"])
            for port in service["spec"]["ports"]:
                assert port["targetPort"] in _port_names(chosen), service["metadata"]["name"]
        for policy in objects.of("NetworkPolicy"):
            chosen = _selected(pods, policy["spec"]["podSelector"]["matchLabels"])
            ports = [p for rule in policy["spec"]["ingress"] for p in rule["ports"]]
            named = {p["port"] for p in ports if "endPort" not in p}
            assert named <= _port_names(chosen)


def test_every_render_is_the_same_twice(helm: Helm) -> None:
    for case in pairwise(CHOICES)[::9]:
        values = values_of(case)
        assert helm.text(values) == helm.text(values)


def test_a_newer_chart_changes_nothing_that_kubernetes_forbids_to_change(
    helm: Helm, defaults: Objects, tmp_path: Path
) -> None:
    chart = shutil.copytree(CHART, tmp_path / "chart")
    text = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(text.replace("ersion: 0.1.0", "ersion: 9.9.9"))

    newer = Helm(helm.program, chart).objects({})

    assert "9.9.9" in newer.named("Deployment", "llm-operator")["metadata"]["labels"].values()
    assert list(_immutable(newer)) == list(_immutable(defaults))


def _immutable(objects: Objects) -> Iterator[tuple[str, object]]:
    for manifest in objects.all:
        if manifest["kind"] == "Deployment":
            yield manifest["metadata"]["name"], manifest["spec"]["selector"]
        if manifest["kind"] == "PersistentVolumeClaim":
            yield manifest["metadata"]["name"], manifest["spec"]
        if manifest["kind"].endswith("Binding"):
            yield manifest["metadata"]["name"], manifest["roleRef"]


def _references(objects: Objects) -> Iterator[tuple[str, str]]:
    for manifest in (*objects.of("RoleBinding"), *objects.of("ClusterRoleBinding")):
        yield manifest["roleRef"]["kind"], manifest["roleRef"]["name"]
        yield from (("ServiceAccount", subject["name"]) for subject in manifest["subjects"])
    for _, pod in objects.pods():
        if "serviceAccountName" in pod["spec"]:
            yield "ServiceAccount", pod["spec"]["serviceAccountName"]
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume:
                yield "ConfigMap", volume["configMap"]["name"]
            if "persistentVolumeClaim" in volume:
                yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]


def _exists(objects: Objects, reference: tuple[str, str]) -> bool:
    kind, name = reference
    if (kind, name) == ("PersistentVolumeClaim", "mine"):
        return True  # the user's own
    if name.startswith("system:"):
        return True  # Kubernetes' own
    return name in {manifest["metadata"]["name"] for manifest in objects.of(kind)}


def _selected(pods: list[Manifest], labels: dict[str, str]) -> Manifest:
    chosen = [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]
    assert len(chosen) == 1
    return chosen[0]


def _port_names(pod: Manifest) -> set[str]:
    return {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
