"""What slices say about an LLMDeployment; some are written by who means harm."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.activator.target import (
    ACTIVATOR_LABEL,
    HELD_CALLS,
    HOLD_SECONDS,
    LONGEST_HOLD_SECONDS,
    MOST_HELD,
    SERVICE_LABEL,
    Limits,
    Target,
    target,
)

Json = dict[str, Any]


def ours(port: int = 20_001, name: str = "grpc", **annotations: str) -> Json:
    named = {"seconds": HOLD_SECONDS, "calls": HELD_CALLS}
    return {
        "metadata": {
            "labels": {ACTIVATOR_LABEL: "true", SERVICE_LABEL: "demo"},
            "annotations": {named[key]: value for key, value in annotations.items()},
        },
        "ports": [{"name": name, "port": port}],
        "endpoints": [{"addresses": ["10.0.0.9"], "conditions": {"ready": True}}],
    }


def theirs(*endpoints: Json, service: str = "demo", port: int = 50_051) -> Json:
    return {
        "metadata": {"labels": {SERVICE_LABEL: service}},
        "ports": [{"name": "metrics", "port": 9090}, {"name": "grpc", "port": port}],
        "endpoints": list(endpoints),
    }


def endpoint(address: str, **conditions: bool) -> Json:
    return {"addresses": [address], "conditions": conditions}


def test_without_slices_there_is_nothing() -> None:
    assert target("demo", []) == Target()


def test_our_slice_tells_the_port_and_the_bounds() -> None:
    found = target("demo", [ours(seconds="30", calls="7")])
    assert found == Target(20_001, Limits(30.0, 7))


def test_the_slices_of_the_service_tell_its_ready_pods_in_order() -> None:
    found = target(
        "demo",
        [
            theirs(endpoint("10.0.0.3", ready=True), endpoint("10.0.0.1", ready=False)),
            theirs(endpoint("fd00::2", ready=True), endpoint("10.0.0.2")),
        ],
    )
    assert found == Target(pods=("10.0.0.2:50051", "10.0.0.3:50051", "[fd00::2]:50051"))


def test_a_pod_in_two_slices_is_one() -> None:
    twice = theirs(endpoint("10.0.0.3", ready=True))
    assert target("demo", [twice, twice]).pods == ("10.0.0.3:50051",)


def test_the_activator_is_none_of_the_pods() -> None:
    assert target("demo", [ours()]).pods == ()


def test_slices_of_other_services_are_not_looked_at() -> None:
    assert target("demo", [theirs(endpoint("10.0.0.3"), service="demo-pods")]) == Target()


def test_of_two_slices_of_ours_the_lower_port_holds_whatever_their_order() -> None:
    two = [ours(20_002, seconds="2"), ours(20_001, seconds="1")]
    assert target("demo", two) == target("demo", two[::-1]) == Target(20_001, Limits(1.0))


@pytest.mark.parametrize("port", [0, 80, 19_999, 30_000, 50_052])
def test_a_port_that_is_not_for_llm_deployments_is_not_opened(port: int) -> None:
    assert target("demo", [ours(port)]).port is None


def test_a_port_of_another_name_is_not_opened() -> None:
    assert target("demo", [ours(name="http")]).port is None


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "٣", "9" * 5000, "0"])
def test_a_bound_that_is_no_number_has_its_default(text: str) -> None:
    assert target("demo", [ours(seconds=text, calls=text)]).limits == Limits()


def test_no_bound_is_wider_than_the_crd_allows() -> None:
    found = target("demo", [ours(seconds="999999999", calls="999999999")])
    assert found.limits == Limits(LONGEST_HOLD_SECONDS, MOST_HELD)


@given(st.lists(st.text() | st.integers(0, 10**12).map(str), min_size=2, max_size=2))
def test_any_annotation_gives_bounds_that_hold(texts: list[str]) -> None:
    limits = target("demo", [ours(seconds=texts[0], calls=texts[1])]).limits
    assert 0 < limits.seconds <= LONGEST_HOLD_SECONDS
    assert 0 < limits.calls <= MOST_HELD


@pytest.mark.parametrize("absent", ["ports", "endpoints"])
def test_a_slice_that_lacks_a_part_tells_nothing(absent: str) -> None:
    for found in (ours(), theirs(endpoint("10.0.0.1"))):
        found[absent] = None
        assert target("demo", [found]).pods == ()
