"""What one client has asked for, was told and has accepted: the state of one ADS stream. Pure.

State of the world (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol): an answer
for listeners or clusters holds everything that is subscribed, since what is left out is deleted at
the client; one for routes or endpoints holds what has changed.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from llm_operator.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTE, Name, Resource

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
"""In the order in which a change is told: what is referred to comes before what refers to it."""
COMPLETE = frozenset({LISTENER, CLUSTER})
"""Types whose answers hold everything."""
MOST_NAMES = 10_000
"""Names of a type that one client may ask for: gRPC clients take 4 MiB in an answer."""

Versions = Mapping[str, str]
Find = Callable[[Name], Resource | None]


class TooManyNamesError(Exception):
    """A client asks for more names than it may."""


@dataclass(frozen=True, slots=True)
class Request:
    """A DiscoveryRequest. `error` is the reason of a refusal (NACK), empty where there is none."""

    type_url: str
    names: frozenset[str]
    nonce: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A DiscoveryResponse."""

    type_url: str
    version: str
    nonce: str
    resources: tuple[Resource, ...]


@dataclass(slots=True)
class _Subscription:
    """One type of one stream.

    Attributes:
        told: versions of what the client was sent, of what it subscribes to now.
        accepted: of those that it has acknowledged.
        nonce: of the last answer; empty before the first.
        is_due: an answer is owed whatever has changed, as to a first request.
        told_at: when the last answer was given, while it is not acknowledged.
        refusal: why the client did not take the last answer (NACK), and goes on with what it had.
    """

    names: frozenset[str] = frozenset()
    told: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    nonce: str = ""
    is_due: bool = True
    told_at: float | None = None
    refusal: str = ""


@dataclass(slots=True)
class Subscriptions:
    """The state; `take` requests, `due` says what to answer."""

    _by_type: dict[str, _Subscription] = field(default_factory=dict)
    _nonces: int = 0

    def take(self, request: Request) -> bool:
        """Notes a request; what it asks for is due then. Requests of unknown types are ignored.

        Returns whether it refuses the last answer. Raises TooManyNamesError.
        """
        if request.type_url not in TYPES:
            return False
        if len(request.names) > MOST_NAMES:
            raise TooManyNamesError(
                f"{len(request.names)} names of {request.type_url}: at most {MOST_NAMES} are served"
            )
        mine = self._by_type.setdefault(request.type_url, _Subscription())
        _subscribe(mine, request.names)
        if not mine.nonce or request.nonce != mine.nonce:
            return False  # a first request, or one that was made before the last answer came
        mine.refusal, mine.told_at = request.error, None
        if not request.error:
            mine.accepted = dict(mine.told)
        return bool(request.error)

    def names(self) -> frozenset[Name]:
        """Everything that is subscribed."""
        return frozenset(
            Name(type_url, name) for type_url, mine in self._by_type.items() for name in mine.names
        )

    def due(self, type_url: str, find: Find, now: float) -> Answer | None:
        """The answer that is owed for a type; calling this counts as having given it at `now`.

        What does not exist is left out: of a listener or a cluster that says so, for a route or
        endpoints the client waits.
        """
        mine = self._by_type.get(type_url)
        if mine is None:
            return None
        there = {name: find(Name(type_url, name)) for name in mine.names}
        found = {name: resource for name, resource in there.items() if resource is not None}
        versions = {name: resource.version for name, resource in found.items()}
        news = sorted(name for name, version in versions.items() if mine.told.get(name) != version)
        is_gone = type_url in COMPLETE and bool(mine.told.keys() - versions.keys())
        if not (news or is_gone or (mine.is_due and type_url in COMPLETE)):
            return None
        mine.told, mine.is_due, mine.told_at = versions, False, now
        self._nonces += 1
        mine.nonce = str(self._nonces)
        chosen = sorted(found) if type_url in COMPLETE else news
        resources = tuple(found[name] for name in chosen)
        return Answer(type_url, _version(versions), mine.nonce, resources)

    def has_accepted(self, name: Name, version: str) -> bool:
        """Whether the client has acknowledged this version."""
        mine = self._by_type.get(name.type_url)
        return mine is not None and mine.accepted.get(name.name) == version

    def refusals(self) -> Mapping[str, str]:
        """Why the client does not take what it was told last, by type."""
        return {url: mine.refusal for url, mine in self._by_type.items() if mine.refusal}

    def silent_since(self) -> float | None:
        """When the oldest answer was given that the client has not replied to."""
        told = (mine.told_at for mine in self._by_type.values() if mine.told_at is not None)
        return min(told, default=None)


def _subscribe(mine: _Subscription, names: frozenset[str]) -> None:
    """A client that asks again for what it had dropped is told again. New names make an answer due,
    even where they do not exist."""
    mine.is_due = mine.is_due or bool(names - mine.names)
    for name in mine.names - names:
        mine.told.pop(name, None)
        mine.accepted.pop(name, None)
    mine.names = names


def _version(versions: Versions) -> str:
    text = "\n".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
