"""Values that the chart is rendered with: every pair of choices appears together at least once."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

Values = Mapping[str, Any]
Choices = Mapping[str, Sequence[Values]]

_DIGEST = "sha256:" + "0a" * 32
_PLACED = {
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
    "priorityClassName": "system-cluster-critical",
}  # fmt: skip
_PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
_ALL_IMAGES = ("operator", "exporter", "runtime", "registry")


def _embedded(**persistence: object) -> Values:
    return {"registry": {"persistence": persistence}}


def _external(**external: object) -> Values:
    return {"registry": {"enabled": False, "external": external}}


CHOICES: Choices = {
    "namespaces": (
        {},
        {"watchNamespaces": ["default"]},
        {"watchNamespaces": ["kube-public", "default"]},
    ),
    "images": (
        {},
        {"image": {name: {"repository": "r.example:5000/a/b", "tag": "1"} for name in _ALL_IMAGES}},
        {"image": {name: {"tag": "1", "digest": _DIGEST} for name in _ALL_IMAGES}},
    ),
    "pull": (
        {},
        {"image": {"pullPolicy": "Always"}},
        {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]},
    ),
    "replicas": tuple({"operator": {"replicas": count}} for count in (0, 1, 2, 3)),
    "operator": (
        {},
        {"operator": {"logLevel": "DEBUG", "workers": 1, "leaseSeconds": 3, "resyncSeconds": 1}},
        {"operator": {**_PLACED, "podAnnotations": {"a": "b"}}},
        {"operator": {"resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": 1}}}},
    ),
    "registry": (
        {},
        _embedded(enabled=False, size="500Mi"),
        _embedded(existingClaim="mine"),
        _embedded(storageClass="fast", keep=False),
        {"registry": {"clusterIP": "10.96.0.50", **_PLACED}},
        _external(url="r.example"),
        _external(url="r.example:5000", pushUrl="w.example:5001", plainHttp=True),
    ),
    "account": (
        {},
        {"serviceAccount": {"name": "own", "annotations": {"a": "b"}}},
    ),
    "users": (
        {},
        {"rbac": {"aggregateToUserRoles": False, "bindIssuerDiscovery": True}},
    ),
    "network": (
        {},
        {"networkPolicy": {"enabled": False}},
        {"networkPolicy": {"metricsFrom": [_PEER], "registryReadFrom": [_PEER]}},
        {"networkPolicy": {"apiServerPorts": [16443]}},
    ),
    "budget": ({}, {"podDisruptionBudget": {"enabled": False}}),
    "hub": ({}, {"huggingFace": {"endpoint": "https://hub.example/mirror"}}),
}


def pairwise(choices: Choices) -> list[dict[str, int]]:
    """Few cases, each a choice for every dimension, that hold every pair of choices."""
    open_pairs = set(pairs(choices))
    cases = []
    while open_pairs:
        case: dict[str, int] = {}
        for pair in sorted(open_pairs):
            if all(case.get(name, index) == index for name, index in pair):
                case.update(pair)
        cases.append({name: case.get(name, 0) for name in choices})
        open_pairs -= set(combinations(sorted(cases[-1].items()), 2))
    return cases


def pairs(choices: Choices) -> Iterator[tuple[tuple[str, int], ...]]:
    """Every pair of choices of two dimensions."""
    for first, second in combinations(sorted(choices), 2):
        for one, two in product(range(len(choices[first])), range(len(choices[second]))):
            yield (first, one), (second, two)


def values_of(case: Mapping[str, int], choices: Choices = CHOICES) -> dict[str, Any]:
    """The values of a case: those of its choices, merged."""
    merged: dict[str, Any] = {}
    for name, index in case.items():
        _merge(merged, choices[name][index])
    return merged


def _merge(target: dict[str, Any], source: Values) -> None:
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = _copied(value)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(child) for key, child in value.items()}
    return value
