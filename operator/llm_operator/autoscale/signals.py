"""What one pod says about its load. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum


class PodState(StrEnum):
    """Where a pod is in its life, as it says itself."""

    STARTING = "starting"
    SERVING = "serving"
    LAME_DUCK = "lame-duck"
    DRAINING = "draining"
    DRAINED = "drained"
    FAILED = "failed"


LEAVING = frozenset({PodState.LAME_DUCK, PodState.DRAINING, PodState.DRAINED})
"""States of a pod that was asked to drain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLoad:
    """One pod's load at one moment. Tokens are counted as the pod's caches count them."""

    running: int
    waiting: int
    tokens_held: int
    prompt_tokens_queued: int
    capacity_tokens: int
    slots: int
    state: PodState = PodState.SERVING
    tokens_per_second: float = 0.0
    step_seconds: float = 0.0
    first_token_p90: float = 0.0
    """Seconds over the pod's last minute; 0 where nothing was answered."""
    inter_token_p90: float = 0.0
    mean_prompt: float = 0.0
    mean_output: float = 0.0
    received: int = 0
    """Requests since the pod's process started; smaller than before after a restart."""
    cut_off: int = 0
    """Requests that the limit of the drain under way has ended before they were done."""
    at_seconds: float = field(default=0.0, compare=False)
    """When this was true, since the process started; 0 where it does not say. Time alone is no
    news, so it is not compared."""
    request_seconds: float = field(default=0.0, compare=False)
    """Requests that ran or waited, added up over that time."""

    @property
    def requests(self) -> int:
        return self.running + self.waiting

    @property
    def is_leaving(self) -> bool:
        return self.state in LEAVING

    @property
    def is_idle(self) -> bool:
        return self.running == 0 and self.waiting == 0


FIRST_WORD_SECONDS = 7.0
"""A pod that has just become ready, or that we have just begun to listen to, says something within
that time (the longest pause between two attempts to open its stream is shorter). Until then its
word is awaited; then it is silent."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A pod that is listened to and says nothing."""

    seconds: float
    is_first: bool
    """Whether it has never said anything to this process."""

    @property
    def is_brief(self) -> bool:
        return self.seconds < FIRST_WORD_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCalls:
    """What activators hold for an LLMDeployment at one moment."""

    calls: int = 0
    forwarding: int = 0
    received: int = 0
    """Calls taken in since the activators' processes started."""
