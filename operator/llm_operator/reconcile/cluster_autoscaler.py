"""What Kubernetes' cluster autoscaler says of pods that wait for a node, by its Events. Pure."""

from collections.abc import Iterable, Set

from llm_operator.reconcile.world import Manifest

NO = "reason=NotTriggerScaleUp,involvedObject.kind=Pod"
"""Field selector: no node group helps this pod."""
YES = "reason=TriggeredScaleUp,involvedObject.kind=Pod"
"""Field selector: a node is being made for this pod."""


def concerning(events: Iterable[Manifest], uids: Set[str]) -> tuple[Manifest, ...]:
    """The Events of these pods."""
    return tuple(event for event in events if event["involvedObject"].get("uid") in uids)


def has_refused(no: Iterable[Manifest], yes: Iterable[Manifest]) -> bool:
    """Whether the last word on one of the pods is no: a node group may have room again."""
    promised: dict[str, str] = {}
    for event in yes:
        uid = str(event["involvedObject"]["uid"])
        promised[uid] = max(promised.get(uid, ""), _time(event))
    return any(_time(event) > promised.get(event["involvedObject"]["uid"], "") for event in no)


def _time(event: Manifest) -> str:
    """When it was last told, as RFC 3339 in UTC, whichever form of Event it is."""
    series = event.get("series") or {}
    told = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
    )
    return str(told or "9999")[:19]  # without fractions: of one second, the promise goes first
