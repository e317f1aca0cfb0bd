"""What an LLMDeployment and its EndpointSlices say about its traffic. Pure.

Nothing here raises on what the API server may hold: what cannot be read counts as absent.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from llm_operator.kube.store import Key
from llm_operator.render import labels, names

PORT_NAME = "grpc"

Json = Mapping[str, Any]


class Health(Enum):
    """Whether calls go to an endpoint. Clients send new ones to those that are ready alone."""

    READY = "ready"
    DRAINING = "draining"
    UNREADY = "unready"


class Policy(Enum):
    """How a client shares its calls among the pods of a revision (`spec.routing.policy`)."""

    LEAST_LOAD = "LeastLoad"
    ROUND_ROBIN = "RoundRobin"
    PREFIX_AFFINITY = "PrefixAffinity"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A pod's data port, or an activator's port of this LLMDeployment."""

    address: str
    port: int
    health: Health = field(default=Health.READY, compare=False)


@dataclass(frozen=True, slots=True)
class Share:
    """How many per cent of the calls a revision gets."""

    revision: str
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One LLMDeployment as its clients are to see it.

    Attributes:
        shares: in the order of the status; empty where all pods are alike.
        endpoints: by Service, sorted. Of those that are called, and of those that will be.
        weights: of endpoints under `PrefixAffinity`, where one is overloaded.
    """

    key: Key
    policy: Policy = Policy.LEAST_LOAD
    shares: tuple[Share, ...] = ()
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    weights: Mapping[Endpoint, int] = field(default_factory=dict)

    @property
    def called(self) -> tuple[str, ...]:
        """Services that calls go to: each revision's; the LLMDeployment's own without shares."""
        name = self.key.name
        return tuple(names.revision(name, share.revision) for share in self.shares) or (name,)


def traffic(deployment: Json, slices: Iterable[Json]) -> Traffic:
    """Reads an LLMDeployment and the slices that carry its label."""
    metadata = deployment["metadata"]
    key = Key(metadata["namespace"], metadata["name"])
    told = Traffic(key=key, policy=_policy(deployment), shares=tuple(_shares(deployment)))
    found = tuple(slices)
    return replace(told, endpoints={name: _endpoints(found, name) for name in told.called})


def to_be_heard(found: Traffic) -> tuple[Endpoint, ...]:
    """Endpoints whose load decides their part of the ring: with a single one there is no choice."""
    ready = [
        endpoint
        for service in found.endpoints.values()
        for endpoint in service
        if endpoint.health is Health.READY
    ]
    return tuple(ready) if found.policy is Policy.PREFIX_AFFINITY and len(ready) > 1 else ()


def of_traffic(deployment: Json) -> Json:
    """What of an LLMDeployment matters here; a change of all else is no news."""
    metadata = deployment["metadata"]
    kept = {k: metadata.get(k) for k in ("namespace", "name", "uid", "resourceVersion")}
    routing = {"policy": _at(deployment, "spec", "routing", "policy")}
    weights = {"shares": _at(deployment, "status", "rollout", "weights", "shares")}
    return {
        "metadata": kept,
        "spec": {"routing": routing},
        "status": {"rollout": {"weights": weights}},
    }


def _policy(deployment: Json) -> Policy:
    told = _at(deployment, "spec", "routing", "policy")
    return next((policy for policy in Policy if policy.value == told), Policy.LEAST_LOAD)


def _shares(deployment: Json) -> Iterator[Share]:
    """Those above zero: a revision without a share needs no cluster at the client."""
    for share in _at(deployment, "status", "rollout", "weights", "shares") or ():
        if share["percent"] > 0:
            yield Share(share["revision"], share["percent"])


def _at(manifest: Any, *path: str) -> Any:
    for name in path:
        manifest = (manifest or {}).get(name)
    return manifest


def _endpoints(slices: Iterable[Json], service: str) -> tuple[Endpoint, ...]:
    """A pod that is in two slices of a Service, as while one is split, is there once."""
    mine = (s for s in slices if (s["metadata"].get("labels") or {}).get(labels.SERVICE) == service)
    found: dict[Endpoint, Endpoint] = {}
    for endpoint in (endpoint for each in mine for endpoint in _of_slice(each)):
        known = found.get(endpoint)
        if known is None or endpoint.health is Health.READY:
            found[endpoint] = endpoint
    return tuple(sorted(found.values()))


def _of_slice(found: Json) -> Iterator[Endpoint]:
    for entry in found.get("ports") or ():
        if entry.get("name") != PORT_NAME or not isinstance(entry.get("port"), int):
            continue
        for endpoint in found.get("endpoints") or ():
            health = _health(endpoint.get("conditions") or {})
            for address in endpoint.get("addresses") or ():
                yield Endpoint(address, entry["port"], health)


def _health(conditions: Json) -> Health:
    """Without a condition the API's own meaning is "ready"."""
    if conditions.get("ready") is not False:
        return Health.READY
    is_leaving = conditions.get("terminating") is True and conditions.get("serving") is True
    return Health.DRAINING if is_leaving else Health.UNREADY
