"""The route and what Gateways say of it -> condition RouteReady, with what there is to do. Pure.

`Ready` says whether pods serve, this one whether Gateways send calls to them: clients inside the
cluster need no Gateway, so neither condition waits for the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llm_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from llm_operator.api.llmdeployment import GatewaySpec, ParentRef
from llm_operator.reconcile.situation import Situation
from llm_operator.reconcile.world import Manifest
from llm_operator.render import names
from llm_operator.render.grpc_route import API_VERSION, GATEWAY, KIND, parent_ref

_MISSING = (
    f"the API server does not know {KIND} ({API_VERSION}): install the Gateway API, 1.1 or newer, "
    f"or take spec.routing.gateway away"
)
_ADVICE: Mapping[str, str] = {
    "NotAllowedByListeners": "let allowedRoutes of a listener admit GRPCRoutes of this namespace",
    "NoMatchingListenerHostname": "give spec.routing.gateway.hostnames a name that a listener has",
    "NoMatchingParent": (
        "correct sectionName and port in spec.routing.gateway.parentRefs, or the listener, whose "
        "state is in the Gateway's status"
    ),
    "BackendNotFound": "a Service that was just made is found within seconds",
}
_DEFAULTS = {**GATEWAY, "sectionName": None, "port": None}


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whether a Gateway takes the route as it is now, and the sentence where it does not."""

    status: ConditionStatus
    sentence: str = ""


def of_situation(situation: Situation) -> Iterator[Condition]:
    """Nothing where no Gateway is asked for."""
    gateway = situation.spec.routing.gateway
    if gateway is None:
        return
    kind, world = ConditionType.ROUTE_READY, situation.world
    if not world.knows_routes:
        yield Condition(kind, "False", Reason.CRD_NOT_INSTALLED, _MISSING)
        return
    route = world.child(KIND, names.grpc_route(world.deployment.name))
    if route is None:
        yield Condition(kind, "Unknown", Reason.NOT_ACCEPTED, "the route is about to be made")
        return
    answers = [_answer(route, parent) for parent in gateway.parent_refs]
    worst = _first(answers, ("False", "Unknown"))
    if worst is not None:
        yield Condition(kind, worst.status, Reason.NOT_ACCEPTED, worst.sentence)
    else:
        yield Condition(kind, "True", Reason.PROGRAMMED, _accepted(route, gateway))


def _accepted(route: Manifest, gateway: GatewaySpec) -> str:
    parents = ", ".join(_name(route, parent) for parent in gateway.parent_refs)
    called = ", ".join(gateway.hostnames) or "every name of the listeners"
    return f"calls to {called} come in through {parents}"


def _answer(route: Manifest, parent: ParentRef) -> _Answer:
    """What is said for one of the references. Several controllers may see a Gateway of that name:
    it is enough that one of them takes the route."""
    wanted = _whole(parent_ref(parent), route)
    entries = (route.get("status") or {}).get("parents") or ()
    said = [entry for entry in entries if _whole(entry["parentRef"], route) == wanted]
    name = _name(route, parent)
    best = _first([_judged(route, name, entry) for entry in said], ("True", "False", "Unknown"))
    silence = (
        f"{name} has not answered: is there such a Gateway, and does its controller take {KIND}s?"
    )
    return best or _Answer("Unknown", silence)


def _judged(route: Manifest, name: str, entry: Mapping[str, Any]) -> _Answer:
    """What one controller says; what it said of an older route does not count."""
    generation = route["metadata"].get("generation", 0)
    told = {
        condition["type"]: condition
        for condition in entry.get("conditions") or ()
        if condition.get("observedGeneration", generation) >= generation
    }
    for kind in ("Accepted", "ResolvedRefs"):
        if told.get(kind, {}).get("status") == "False":
            return _Answer("False", _refusal(name, told[kind]))
    if told.get("Accepted", {}).get("status") != "True":
        return _Answer("Unknown", f"{name} has not taken over the latest route yet")
    return _Answer("True")


def _refusal(name: str, condition: Mapping[str, Any]) -> str:
    kind, reason = condition["type"], condition["reason"]
    parts = (f"{name} says {kind}=False, {reason}", condition.get("message"), _ADVICE.get(reason))
    return ": ".join(part for part in parts if part)


def _first(answers: list[_Answer], order: tuple[ConditionStatus, ...]) -> _Answer | None:
    """The first answer of the first of these statuses that there is."""
    found = (answer for status in order for answer in answers if answer.status == status)
    return next(found, None)


def _whole(reference: Mapping[str, Any], route: Manifest) -> dict[str, Any]:
    """A reference with its defaults, for comparing."""
    given = {key: value for key, value in reference.items() if value}
    return {"namespace": route["metadata"]["namespace"], **_DEFAULTS, **given}


def _name(route: Manifest, parent: ParentRef) -> str:
    """The Gateway, and its listener where one is named, as a person looks for them."""
    listener = f" (listener {parent.section_name})" if parent.section_name else ""
    namespace = parent.namespace or route["metadata"]["namespace"]
    return f"Gateway {namespace}/{parent.name}{listener}"
