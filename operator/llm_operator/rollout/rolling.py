"""Rolling update over revisions: how many pods each one gets next.

The new revision gets what is available of it and `surge` more; the old ones keep what the new one
does not yet carry. So `replicas` pods serve at every moment, and beyond them at most `surge` start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The pods of one revision."""

    hash8: str
    number: int
    """Higher is newer."""
    wanted: int
    """`spec.replicas` of its Deployment."""
    available: int


def next_replicas(
    *, replicas: int, surge: int, target: Fleet, old: Sequence[Fleet], stable: str | None
) -> Mapping[str, int]:
    """Replicas per revision.

    `stable` is the newest revision that once carried everything: of the old ones it alone may grow,
    back to what is asked for. A revision that never served goes at once.

    Worked example, replicas 3, surge 1, old revision a (stable) with 3 available pods:
    target 0 available -> {target: 1, a: 3}; 1 -> {2, 2}; 2 -> {3, 1}; 3 -> {3, 0}.
    """
    owed = max(0, replicas - target.available)
    kept = _keep(owed, old, stable)
    room = replicas + surge - sum(kept.values())
    growing = min(replicas, max(room, target.available))
    return {target.hash8: max(growing, min(target.wanted, replicas)), **kept}


def without_target(*, replicas: int, old: Sequence[Fleet], stable: str | None) -> Mapping[str, int]:
    """Replicas of the old revisions while the new one has no artifact yet."""
    return _keep(replicas, old, stable)


def _keep(owed: int, old: Sequence[Fleet], stable: str | None) -> dict[str, int]:
    """What serves is kept first, newest first; what is then still owed is the stable one's."""
    kept = {fleet.hash8: 0 for fleet in old}
    for fleet in sorted(old, key=lambda fleet: (fleet.hash8 != stable, -fleet.number)):
        kept[fleet.hash8] = min(fleet.available, owed)
        owed -= kept[fleet.hash8]
    if stable in kept:
        kept[stable] += owed
    return kept
