"""How long clients are not told that there is nobody left to call. Pure.

A set that becomes empty is more often a moment between two pods, or a slice that is written anew,
than the end; and a client that is told of it fails every call at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from llm_operator.xds.traffic import Endpoint, Health, Traffic

HOLD_SECONDS = 2.0
"""Shorter than a draining pod's lame duck time, in which it still takes calls."""


@dataclass(frozen=True, slots=True)
class Held:
    """Traffic as clients are shown it.

    Attributes:
        shown: with the last endpoints of each Service that has had none for a moment only.
        since: when each of these became empty.
    """

    shown: Traffic
    since: Mapping[str, float] = field(default_factory=dict)

    @property
    def until(self) -> float | None:
        """When time alone changes what is shown."""
        return min(self.since.values()) + HOLD_SECONDS if self.since else None


def held(before: Held | None, now: Traffic, at: float) -> Held:
    """What to show now. Only what somebody could be called at is worth holding."""
    if before is None:
        return Held(now)
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


def has_ready(endpoints: tuple[Endpoint, ...]) -> bool:
    return any(endpoint.health is Health.READY for endpoint in endpoints)
