"""What the autoscaler sees of one LLMDeployment at one moment."""

from dataclasses import dataclass

from llm_operator.autoscale.signals import PodLoad

DEFAULT_SLOTS = 16
"""As llm-runtime takes them where the spec says nothing (it may have room for fewer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodReport:
    """A pod that runs: ready, or leaving."""

    uid: str
    load: PodLoad | None
    """None: no credible report (the pod hangs for `streams.SILENT_SECONDS`, lies or is gone)."""
    revision: str = ""
    """What was learned about pods of a revision goes with it."""
    age: float = 0.0
    """Seconds since the load was as it says."""

    @property
    def is_leaving(self) -> bool:
        return self.load is not None and self.load.is_leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One LLMDeployment's pods and what happens around them."""

    now: float
    """Seconds since the epoch."""
    pods: tuple[PodReport, ...]
    """Ready pods and leaving ones, of revisions that serve."""
    pending: int = 0
    """Pods that were made and are not ready yet, without those that no node takes."""
    awaited: tuple[str, ...] = ()
    """The uids of the pods that are there and not ready yet, with those that no node takes."""
    unschedulable_since: tuple[float, ...] = ()
    """Per pod that no node takes: since when, in seconds since the epoch."""
    is_refused: bool = False
    """A quota, or a cluster autoscaler that has said no: waiting for a node is no use."""
    held: int = 0
    """Calls that activators hold now."""
    forwarding: int = 0
    """Calls that go through activators to pods, which report them as their own."""
    held_received: int = 0
    """Calls that activators ever took in."""
    current: int
    """Pods that were wanted last; at the very start `spec.replicas`."""
    rollout_floor: int = 0
    """What a rollout that gets on needs, as far as the maximum lets it."""
    is_rolling: bool = False
    """Whether a rollout gets on: one that is stuck may be so for ever, and holds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the rest of the spec says about scaling."""

    capacity_timeout: float
    """Seconds that a pod may wait for a node and still count as one that comes."""
    slots: int = DEFAULT_SLOTS
    """Requests that a pod will run at once, for where none has told it yet."""
