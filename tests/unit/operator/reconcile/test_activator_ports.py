"""Every LLMDeployment that may go to zero has a port of its own on the activator."""

from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.autoscale.decision import Decision
from llm_operator.autoscale.loop import Autoscaler
from llm_operator.control.loads import Held, Loads
from llm_operator.kube.store import Key
from llm_operator.reconcile.activator_ports import free_port, port_of
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.scaling import Scaling
from llm_operator.render.activation import PORT_ANNOTATION, PORTS
from support import worlds

keys = st.builds(Key, st.sampled_from(["a", "b"]), st.text("abc", min_size=1, max_size=8))

VICTIM = Key("a", "victim")


def a_service(key: Key, port: object, made: str = "2027-01-01T12:00:00Z") -> dict[str, Any]:
    metadata = {
        "name": key.name,
        "namespace": key.namespace,
        "creationTimestamp": made,
        "resourceVersion": "1",
        "annotations": {PORT_ANNOTATION: str(port)},
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata}


@given(st.lists(keys, unique=True, max_size=50))
def test_no_two_have_the_same_port(wanted: list[Key]) -> None:
    taken: set[int] = set()
    for key in wanted:
        port = free_port(key, taken)
        assert port in PORTS
        assert port not in taken
        taken.add(port)


@given(keys)
def test_the_first_choice_follows_from_the_name(key: Key) -> None:
    assert free_port(key, set()) == free_port(key, set())


def test_the_last_free_port_is_found() -> None:
    assert free_port(Key("a", "b"), set(PORTS) - {23_456}) == 23_456


def test_a_port_on_record_is_kept() -> None:
    assert port_of(VICTIM, [a_service(VICTIM, 20_001)], {}) == 20_001


@pytest.mark.parametrize("port", ["", "x", "80", "30000", "²"])
def test_what_is_no_port_of_the_activator_is_no_record(port: str) -> None:
    assert port_of(VICTIM, [a_service(VICTIM, port)], {}) in PORTS


@pytest.mark.parametrize("thief", [Key("a", "thief"), Key("b", "victim"), Key("b", "thief")])
def test_of_two_services_that_record_one_port_the_older_keeps_it(thief: Key) -> None:
    services = [
        a_service(thief, 20_001, "2027-01-02T12:00:00Z"),
        a_service(VICTIM, 20_001, "2027-01-01T12:00:00Z"),
    ]
    assert port_of(VICTIM, services, {}) == 20_001
    assert port_of(thief, services, {}) != 20_001


@pytest.mark.parametrize("other", [Key("a", "wictim"), Key("b", "a")])
def test_of_two_services_of_one_age_the_first_by_name_keeps_the_port(other: Key) -> None:
    services = [a_service(other, 20_001), a_service(VICTIM, 20_001)]
    assert port_of(VICTIM, services, {}) == 20_001
    assert port_of(other, services, {}) != 20_001


def test_a_record_does_not_take_a_port_that_somebody_was_given() -> None:
    """His Service may not be written yet, or the record is newer than what was given."""
    thief = Key("b", "thief")
    assert port_of(thief, [a_service(thief, 20_001)], {VICTIM: 20_001}) != 20_001


def test_a_record_that_is_changed_by_hand_moves_nobody() -> None:
    services = [a_service(VICTIM, 20_002)]
    assert port_of(VICTIM, services, {VICTIM: 20_001}) == 20_001


@given(st.lists(st.tuples(keys, st.integers(20_000, 20_003), st.sampled_from("12")), max_size=12))
def test_records_never_lead_to_one_port_for_two(found: list[tuple[Key, int, str]]) -> None:
    services = {key: a_service(key, port, made) for key, port, made in found}
    ports: dict[Key, int] = {}
    for key in services:
        ports[key] = port_of(key, services.values(), ports)
    assert len(set(ports.values())) == len(ports)


@dataclass
class Quiet:
    """Pods that say nothing and an autoscaler that wants none."""

    def follow(self, *_: object) -> None: ...

    def of(self, _key: Key) -> dict[str, Any]:
        return {}

    silences = of

    def decide(self, *_: object) -> Decision:
        return worlds.decision(0)


@pytest.mark.parametrize("order", [["demo", "other"], ["other", "demo"]])
def test_two_that_record_one_port_are_told_different_ones(order: list[str]) -> None:
    caches, quiet = Caches(), Quiet()
    for name in order:
        caches.stores["Service"].put(a_service(Key("default", name), 20_001))
    scaling = Scaling(
        caches=caches,
        loads=cast(Loads, quiet),
        held=cast(Held, quiet),
        autoscaler=cast(Autoscaler, quiet),
    )
    ports = {}
    for name in order:
        zero = {"autoscaling": {"minReplicas": 0, "maxReplicas": 2}}
        world = worlds.world(zero, name=name, settings=worlds.settings(has_activator=True))
        activation = scaling.observe(world).activation
        assert activation is not None
        ports[name] = activation.port
    assert ports["demo"] == 20_001
    assert ports["other"] != 20_001
