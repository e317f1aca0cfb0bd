"""The route follows the shares to the end, and never points to what is not there."""

import copy
from contextlib import suppress
from typing import Any

import pytest

from llm_operator.api.llmdeployment import ROLLOUT_ACTION
from llm_operator.reconcile.actions import Apply, Delete
from llm_operator.rollout.clients import Clients, ClientTraffic
from support import worlds
from support.simulated_cluster import KilledError, SimulatedCluster

STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {"durationSeconds": 5}}]
GATEWAY = {"parentRefs": [{"name": "public", "namespace": "infra"}], "hostnames": ["demo.test"]}
CHANGE = {"runtime": {"maxQueue": 7}}
ROUTE = ("GRPCRoute", "demo")


def cluster(*, knows_routes: bool = True, **spec: Any) -> SimulatedCluster:
    rollout = {"strategy": "Canary", "steps": STEPS}
    manifest = worlds.manifest({"replicas": 2, "rollout": rollout, **spec})
    made = SimulatedCluster(manifest, settings=worlds.settings(has_xds=True))
    made.around["knows_routes"] = knows_routes
    clients(made)
    return made


def routed(*, knows_routes: bool = True) -> SimulatedCluster:
    """An LLMDeployment that serves and has a route, where the cluster knows routes."""
    made = cluster(knows_routes=knows_routes, routing={"gateway": GATEWAY})
    made.settle()
    return made


def clients(found: SimulatedCluster) -> None:
    """Clients that use xDS do what they are told, so that a rollout gets on."""
    told = {share["revision"]: share["percent"] for share in shares(found)}
    there = {revision: percent for revision, percent in told.items() if percent}
    report = ClientTraffic(shares=there, streams=2, acknowledged=2)
    counted = {revision: 10 * percent for revision, percent in told.items()}
    found.around["clients"] = Clients(reports=(report,), counted=counted)


def shares(found: SimulatedCluster) -> list[dict[str, Any]]:
    rollout = found.deployment["status"].get("rollout") or {}
    return list((rollout.get("weights") or {}).get("shares") or ())


def backends(found: SimulatedCluster) -> dict[str, int]:
    (rule,) = found.objects[ROUTE]["spec"]["rules"]
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


def run(found: SimulatedCluster, rounds: int = 12) -> None:
    for _ in range(rounds):
        clients(found)
        found.reconcile()
        found.step()


def changed(found: SimulatedCluster) -> tuple[str, str]:
    """After a change that has come to its first pause; the old revision and the new one."""
    old = str(found.deployment["status"]["currentRevision"])
    found.edit(**CHANGE)
    run(found)
    return old, str(found.deployment["status"]["currentRevision"])


def promote(found: SimulatedCluster) -> None:
    revision = found.deployment["status"]["currentRevision"]
    found.deployment["metadata"]["annotations"] = {ROLLOUT_ACTION: f"promote@{revision}"}


def answered(found: SimulatedCluster, *parents: dict[str, Any]) -> None:
    """Gateways have written this into the route's status."""
    found.objects[ROUTE]["status"] = {"parents": list(parents)}


def parent(
    accepted: str = "True", reason: str = "Accepted", *, seen: int = 1, **reference: Any
) -> dict[str, Any]:
    """What the controller of the Gateway says of the route's generation that it has seen."""
    about = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
    about |= {"namespace": "infra", **reference}
    return {
        "controllerName": "example.com/gateway",
        "parentRef": {key: value for key, value in about.items() if value is not None},
        "conditions": [said("Accepted", accepted, reason, seen), said("ResolvedRefs", seen=seen)],
    }


def said(kind: str, status: str = "True", reason: str = "X", seen: int = 1) -> dict[str, Any]:
    condition = {"type": kind, "status": status, "reason": reason, "message": "as it says"}
    return {**condition, "observedGeneration": seen}


def verdict(found: SimulatedCluster) -> tuple[str, str, str]:
    """Status, reason and message of RouteReady after another look."""
    found.reconcile()
    conditions = found.deployment["status"]["conditions"]
    told = next(c for c in conditions if c["type"] == "RouteReady")
    return told["status"], told["reason"], told["message"]


def has_condition(found: SimulatedCluster) -> bool:
    return any(c["type"] == "RouteReady" for c in found.deployment["status"]["conditions"])


# the route


def test_without_a_gateway_there_is_no_route_and_no_word_of_it() -> None:
    found = cluster()
    found.settle()
    assert ROUTE not in found.objects
    assert not has_condition(found)


def test_a_gateway_makes_a_route_to_the_service() -> None:
    assert backends(routed()) == {"demo": 100}


def test_a_route_that_says_what_it_should_is_left_alone() -> None:
    found = routed()
    found.settle()
    assert found.reconcile().is_empty


def test_the_weights_follow_the_shares() -> None:
    found = routed()
    old, new = changed(found)
    assert backends(found) == {f"demo-{old}": 80, f"demo-{new}": 20}
    promote(found)
    run(found, 4)
    assert backends(found) == {f"demo-{old}": 50, f"demo-{new}": 50}


def test_after_the_rollout_every_call_goes_to_the_service_again() -> None:
    found = routed()
    changed(found)
    promote(found)
    run(found, 40)
    assert backends(found) == {"demo": 100}


def test_a_new_revision_gets_no_call_before_it_serves() -> None:
    found = routed()
    old = str(found.deployment["status"]["currentRevision"])
    found.edit(**CHANGE)
    found.reconcile()
    assert backends(found) == {f"demo-{old}": 100}


@pytest.mark.parametrize("die_after", range(1, 12))
def test_no_backend_is_ever_missing_wherever_the_operator_dies(die_after: int) -> None:
    found = routed()
    found.edit(**CHANGE)
    for number in range(60):
        if number == 20:
            promote(found)
        clients(found)
        with suppress(KilledError):
            found.reconcile(die_after=die_after if number % 3 else None)
        services = {name for kind, name in found.objects if kind == "Service"}
        assert backends(found).keys() <= services
        found.step()
    assert backends(found) == {"demo": 100}


def test_at_zero_the_route_stays_for_the_call_that_brings_a_pod_back() -> None:
    found = routed()
    found.edit(replicas=0)
    run(found)
    assert backends(found) == {"demo": 100}


def test_a_gateway_that_is_taken_away_takes_the_route_with_it() -> None:
    found = routed()
    uid = found.objects[ROUTE]["metadata"]["uid"]
    found.edit(routing={})
    deleted = [write for write in found.reconcile().writes if isinstance(write, Delete)]
    assert [(each.kind, each.name, each.uid) for each in deleted] == [(*ROUTE, uid)]
    found.reconcile()
    assert not has_condition(found)


def test_a_gateway_rolls_no_pod() -> None:
    found = cluster()
    found.settle()
    before = found.deployment["status"]["currentRevision"]
    found.edit(routing={"gateway": GATEWAY})
    run(found)
    assert found.deployment["status"]["currentRevision"] == before
    assert backends(found) == {"demo": 100}


def test_a_backend_that_somebody_added_is_taken_out() -> None:
    found = routed()
    (rule,) = found.objects[ROUTE]["spec"]["rules"]
    rule["backendRefs"].append({**rule["backendRefs"][0], "name": "stranger"})
    made = found.reconcile()
    assert [event.reason for event in made.events] == ["DriftCorrected"]
    assert backends(found) == {"demo": 100}


# a route of somebody else


def a_foreign_route() -> dict[str, Any]:
    metadata = {"name": "demo", "namespace": "default", "uid": "theirs", "generation": 1}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute", "metadata": metadata}


def test_somebody_elses_route_of_that_name_is_never_touched() -> None:
    found = cluster(routing={"gateway": GATEWAY})
    found.around["strangers"] = (a_foreign_route(),)
    made = found.reconcile()
    assert made.writes == ()
    (accepted, *_) = found.deployment["status"]["conditions"]
    assert "GRPCRoute demo exists already" in accepted["message"]


def test_somebody_elses_route_with_our_label_outlives_the_gateway() -> None:
    found = cluster()
    foreign = a_foreign_route()
    foreign["metadata"]["labels"] = {"llm-operator.dev/deployment": "demo"}
    found.objects[ROUTE] = foreign
    found.settle()
    assert found.objects[ROUTE]["metadata"]["uid"] == "theirs"


# a cluster without the Gateway API


def test_where_the_kind_is_not_known_none_is_written_and_the_status_says_what_to_install() -> None:
    found = routed(knows_routes=False)
    assert ROUTE not in found.objects
    status, reason, message = verdict(found)
    assert (status, reason) == ("False", "CRDNotInstalled")
    assert "install the Gateway API" in message


def test_a_kind_that_comes_later_gets_its_route() -> None:
    found = routed(knows_routes=False)
    found.around["knows_routes"] = True
    found.settle()
    assert backends(found) == {"demo": 100}


# what Gateways say


def test_a_gateway_that_took_the_route_is_named_with_what_is_called() -> None:
    found = routed()
    answered(found, parent())
    assert verdict(found) == (
        "True",
        "Programmed",
        "calls to demo.test come in through Gateway infra/public",
    )


def test_a_gateway_that_says_nothing_may_not_be_there() -> None:
    status, reason, message = verdict(routed())
    assert (status, reason) == ("Unknown", "NotAccepted")
    assert message.startswith("Gateway infra/public has not answered: is there such a Gateway")


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("NotAllowedByListeners", "allowedRoutes"),
        ("NoMatchingListenerHostname", "spec.routing.gateway.hostnames"),
        ("NoMatchingParent", "sectionName and port in spec.routing.gateway.parentRefs"),
        ("SomethingNew", "as it says"),
    ],
)
def test_a_refusal_is_told_in_the_gateways_words_with_what_to_do(reason: str, advice: str) -> None:
    found = routed()
    answered(found, parent("False", reason))
    status, told, message = verdict(found)
    assert (status, told) == ("False", "NotAccepted")
    begin = f"Gateway infra/public says Accepted=False, {reason}: as it says"
    assert message.startswith(begin)
    assert advice in message


def test_references_that_are_not_resolved_are_a_refusal() -> None:
    found = routed()
    said_so = parent()
    said_so["conditions"][1] = said("ResolvedRefs", "False", "BackendNotFound")
    answered(found, said_so)
    status, _, message = verdict(found)
    assert status == "False"
    assert "ResolvedRefs=False, BackendNotFound" in message


@pytest.mark.parametrize("accepted", ["True", "False"])
def test_what_was_said_of_an_older_route_does_not_count(accepted: str) -> None:
    found = routed()
    answered(found, parent(accepted, seen=1))
    found.objects[ROUTE]["metadata"]["generation"] = 2
    status, reason, message = verdict(found)
    assert (status, reason) == ("Unknown", "NotAccepted")
    assert "has not taken over the latest route yet" in message


def test_every_gateway_has_to_take_it() -> None:
    two = copy.deepcopy(GATEWAY)
    two["parentRefs"].append({"name": "inner"})  # type: ignore[attr-defined]
    found = cluster(routing={"gateway": two})
    found.settle()
    answered(found, parent())
    assert verdict(found)[0] == "Unknown"
    answered(found, parent(), parent("False", "NoMatchingParent", name="inner", namespace=None))
    status, _, message = verdict(found)
    assert status == "False"
    assert message.startswith("Gateway default/inner says")
    answered(found, parent(), parent(name="inner", namespace="default"))
    assert verdict(found)[0] == "True"


def test_listeners_of_one_gateway_are_told_apart() -> None:
    both = [{"name": "public", "sectionName": "one"}, {"name": "public", "sectionName": "two"}]
    found = cluster(routing={"gateway": {"parentRefs": both}})
    found.settle()
    one = parent(namespace="default", sectionName="one")
    answered(found, one, parent("False", namespace="default", sectionName="two"))
    status, _, message = verdict(found)
    assert status == "False"
    assert "(listener two)" in message


def test_one_controller_that_takes_the_route_is_enough() -> None:
    found = routed()
    other = {**parent("False", "NoMatchingParent"), "controllerName": "example.com/other"}
    answered(found, other, parent())
    assert verdict(found)[0] == "True"


def test_ready_does_not_wait_for_a_gateway() -> None:
    found = routed()
    answered(found, parent("False", "NotAllowedByListeners"))
    found.reconcile()
    conditions = {c["type"]: c["status"] for c in found.deployment["status"]["conditions"]}
    assert (conditions["Ready"], conditions["RouteReady"]) == ("True", "False")


def test_a_route_of_an_older_spec_is_set_back_in_one_write() -> None:
    found = routed()
    found.edit(routing={"gateway": {**GATEWAY, "hostnames": ["other.test"]}})
    (write,) = found.reconcile().writes
    assert isinstance(write, Apply)
    assert found.objects[ROUTE]["spec"]["hostnames"] == ["other.test"]
