"""Plan: what one reconcile writes, as a value. `plan` makes it, `apply` does it, in its order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llm_operator.reconcile.world import Manifest


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of a full object: field manager `llm-operator`, force."""

    manifest: Manifest
    uid: str | None
    """The live object's uid; None when there is none and this creates it. With a uid, the manifest
    carries it in `metadata.uid`, so that an object replaced in between is refused (409)."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete with a uid precondition; an object that is gone already (404) is success."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    propagation: Literal["Background", "Foreground", "Orphan"] = "Background"


@dataclass(frozen=True, slots=True)
class Drain:
    """Asks a pod to leave service and finish its generations within `timeout_seconds`. A pod that
    does not answer is asked again by the next run."""

    pod: str
    address: str
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Undrain:
    """Takes a pod back into service."""

    pod: str
    address: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Sets a pod's deletion cost (0 removes it); a pod that is gone (404, 409) is no error."""

    namespace: str
    pod: str
    uid: str
    cost: int


Write = Apply | Delete | Drain | Undrain | Cost


@dataclass(frozen=True, slots=True)
class Event:
    """An events.k8s.io/v1 Event regarding the LLMDeployment (or the named related object)."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str = "Reconcile"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one reconcile does. A converged World gives an empty one."""

    writes: tuple[Write, ...] = ()
    """In order; the first that fails ends the run."""
    status: Mapping[str, Any] | None = None
    """Body of a JSON merge patch on the `status` subresource, `{"status": {...}}`, or None when
    nothing differs. Sent after the writes."""
    events: tuple[Event, ...] = ()
    """Sent after the status patch succeeded, so that a transition is told once."""
    requeue_after: float | None = None
    """Seconds until the World changes by time alone (back-off, deadlines); None: events suffice."""

    @property
    def is_empty(self) -> bool:
        """Nothing to write (a later look may still be asked for)."""
        return not self.writes and self.status is None and not self.events

    @property
    def creations(self) -> tuple[Manifest, ...]:
        """Objects that this plan would make. Whatever stands under one of these names without our
        label belongs to somebody else: look, put it into `World.strangers` and plan again."""
        return tuple(w.manifest for w in self.writes if isinstance(w, Apply) and w.uid is None)
