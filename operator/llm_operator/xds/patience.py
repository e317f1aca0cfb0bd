"""What clients are not told at once. Pure.

That nobody is left to call: a set that becomes empty is more often a moment between two pods, or a
slice that is written anew, than the end; and a client that is told of it fails every call at once.

That calls go to other clusters than before: clients hear of these first, and connect to their pods.
grpc-go would fail calls that it gives to a cluster before its balancer has heard of it, for some
milliseconds, and the first calls of others would wait for a connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from llm_operator.xds.traffic import Endpoint, Health, Traffic

HOLD_SECONDS = 2.0
"""Shorter than a draining pod's lame duck time, in which it still takes calls."""
PREPARE_SECONDS = 1.0
"""A client asks twice more, for a cluster and for its endpoints, and connects."""


@dataclass(frozen=True, slots=True)
class Held:
    """Traffic as clients are shown it.

    Attributes:
        shown: with the last endpoints of each Service that has had none for a moment only, and with
            the shares of before while Services are new.
        since: when each of these became empty.
        new: when clients were first shown each of these.
    """

    shown: Traffic
    since: Mapping[str, float] = field(default_factory=dict)
    new: Mapping[str, float] = field(default_factory=dict)

    @property
    def until(self) -> float | None:
        """When time alone changes what is shown."""
        times = [began + HOLD_SECONDS for began in self.since.values()]
        if self.new:
            times.append(max(self.new.values()) + PREPARE_SECONDS)
        return min(times, default=None)


def held(before: Held | None, now: Traffic, at: float) -> Held:
    """What to show now. Who has been shown nothing yet has no calls under way that could fail."""
    if before is None:
        return Held(now)
    return _prepared(before, _kept(before, now, at), at)


def _kept(before: Held, now: Traffic, at: float) -> Held:
    """Only what somebody could be called at is worth holding."""
    since: dict[str, float] = {}
    endpoints = dict(now.endpoints)
    for service, found in now.endpoints.items():
        known = before.shown.endpoints.get(service, ())
        if has_ready(found) or not has_ready(known):
            continue
        began = before.since.get(service, at)
        if at < began + HOLD_SECONDS:
            since[service], endpoints[service] = began, known
    return Held(replace(now, endpoints=endpoints), since)


def _prepared(before: Held, after: Held, at: float) -> Held:
    """Calls go where they went for as long as one of the Services that they are to go to is new."""
    shown, called = after.shown, before.shown.called
    new = {name: before.new.get(name, at) for name in shown.called if name not in called}
    if all(at >= began + PREPARE_SECONDS for began in new.values()):
        return after
    old = {name: before.shown.endpoints.get(name, ()) for name in called}
    endpoints = {**old, **shown.endpoints}
    return replace(
        after, shown=replace(shown, shares=before.shown.shares, endpoints=endpoints), new=new
    )


def has_ready(endpoints: tuple[Endpoint, ...]) -> bool:
    return any(endpoint.health is Health.READY for endpoint in endpoints)
