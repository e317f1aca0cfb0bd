"""Differences: ours are repaired, the API server's and other people's are not."""

from typing import Any

import pytest

from llm_operator.reconcile.difference import has_drifted, is_satisfied, stamped


def labelled(**labels: str) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "demo", "labels": labels}}


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"a": 1}, {"a": 1, "defaulted": 2}),
        ({"flag": False, "list": [], "text": ""}, {}),
        ({"spec": {"emptyDir": {}}}, {"spec": {}}),
        ({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1"}}),
        ({"limits": {"memory": 1024}}, {"limits": {"memory": "1Ki"}}),
        ({"sizeLimit": "1024Mi"}, {"sizeLimit": "1Gi"}),
        (
            {"env": [{"name": "a", "value": "1"}]},
            {"env": [{"name": "x"}, {"name": "a", "value": "1"}]},
        ),
        ({"ports": [{"port": 1}]}, {"ports": [{"port": 1, "nodePort": 30000}]}),
        ({"args": ["serve"]}, {"args": ["serve"]}),
        ({"env": [{"name": "a", "value": ""}]}, {"env": [{"name": "a"}]}),
    ],
)
def test_what_says_the_same_needs_no_write(wanted: Any, live: Any) -> None:
    assert is_satisfied(wanted, live)


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"replicas": 0}, {"replicas": 1}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
        ({"limits": {"cpu": "1"}}, {"limits": {}}),
        ({"env": [{"name": "a", "value": "1"}]}, {"env": [{"name": "a", "value": "2"}]}),
        ({"env": [{"name": "a"}]}, {"env": []}),
        ({"args": ["serve"]}, {"args": ["serve", "more"]}),
        ({"args": ["a", "b"]}, {"args": ["b", "a"]}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": {"b": 1}}, {"a": "text"}),
    ],
)
def test_what_says_something_else_is_written(wanted: Any, live: Any) -> None:
    assert not is_satisfied(wanted, live)


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"selector": {"app": "demo"}}, {"selector": {"app": "demo", "track": "canary"}}),
        (
            {"selector": {"matchLabels": {"app": "demo"}}},
            {"selector": {"matchLabels": {"app": "demo", "track": "canary"}}},
        ),
        (
            {"podSelector": {"matchLabels": {"app": "demo"}}},
            {"podSelector": {"matchLabels": {"app": "demo"}, "matchExpressions": [{"key": "a"}]}},
        ),
        ({"podSelector": {}}, {"podSelector": {"matchLabels": {"app": "demo"}}}),
        (
            {"ingress": [{"ports": [{"port": "grpc"}]}]},
            {"ingress": [{"ports": [{"port": "grpc"}, {"port": "control"}]}]},
        ),
        (
            {"ingress": [{"from": [{"podSelector": {}}]}]},
            {"ingress": [{"from": [{"podSelector": {}}], "ports": []}, {}]},
        ),
        (
            {"egress": [{"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}]},
            {"egress": [{"to": [{"namespaceSelector": {"matchLabels": {"a": "b", "c": "d"}}}]}]},
        ),
    ],
)
def test_what_others_add_to_a_selector_or_a_rule_is_a_difference(wanted: Any, live: Any) -> None:
    assert is_satisfied(wanted, wanted)
    assert not is_satisfied(wanted, live)


@pytest.mark.parametrize("field", ["parentRefs", "backendRefs"])
def test_one_more_gateway_or_backend_is_a_difference(field: str) -> None:
    mine = {"name": "demo", "weight": 100}
    assert is_satisfied({field: [mine]}, {field: [{**mine, "kind": "Service"}]})
    assert not is_satisfied({field: [mine]}, {field: [mine, {"name": "stranger", "weight": 1}]})


def test_ports_with_one_number_and_two_protocols_are_told_apart() -> None:
    udp, tcp = {"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}
    assert is_satisfied({"ports": [udp, tcp]}, {"ports": [dict(udp), dict(tcp)]})
    assert not is_satisfied({"ports": [udp, tcp]}, {"ports": [tcp]})


def test_what_we_no_longer_want_is_seen() -> None:
    live = stamped(labelled(a="1", b="2"))
    assert not is_satisfied(stamped(labelled(a="1")), live)
    assert not has_drifted(stamped(labelled(a="1")), live)


def test_what_others_changed_is_drift() -> None:
    wanted = stamped(labelled(a="1"))
    live = {**wanted, "metadata": {**wanted["metadata"], "labels": {"a": "9"}}}
    assert has_drifted(wanted, live)


def test_the_stamp_depends_on_the_wish_alone() -> None:
    assert stamped(labelled(a="1")) == stamped(labelled(a="1"))
    assert stamped(labelled(a="1")) != stamped(labelled(a="2"))
