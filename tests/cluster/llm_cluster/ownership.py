"""Decides what ``up`` does with a cluster that is there already. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What to do before the cluster is as wanted."""

    START = "start"
    REUSE = "reuse"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Found:
    """What is on the machine. ``trouble`` names, in words, what is wrong with it; empty is healthy.

    ``fingerprint`` and ``checkout`` are None when there is no record; ``leftovers`` then names what
    a killed run has left (bridges, processes, mounts …).
    """

    checkout: str | None = None
    fingerprint: str | None = None
    trouble: str = ""
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who asks, and for which pins and configuration."""

    checkout: str
    fingerprint: str
    ci: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The action and the sentence that tells the user why."""

    action: Action
    reason: str


def decide(found: Found, wanted: Wanted) -> Decision:
    """Equal pins and healthy is shared; other pins, damage or a CI run elsewhere replaces."""
    if found.fingerprint is None:
        return _without_record(found)
    owner = f"the cluster that {found.checkout} started"
    if found.trouble:
        return Decision(Action.REPLACE, f"replacing {owner}: {found.trouble}")
    if found.fingerprint != wanted.fingerprint:
        return Decision(Action.REPLACE, f"replacing {owner}: it has other pins or configuration")
    if wanted.ci and found.checkout != wanted.checkout:
        return Decision(Action.REPLACE, f"replacing {owner}: a CI run shares no other's cluster")
    return Decision(Action.REUSE, f"sharing {owner}: same pins, healthy")


def _without_record(found: Found) -> Decision:
    if found.leftovers:
        what = ", ".join(found.leftovers)
        return Decision(Action.REPLACE, f"removing what a killed run has left: {what}")
    return Decision(Action.START, "starting a new cluster")
