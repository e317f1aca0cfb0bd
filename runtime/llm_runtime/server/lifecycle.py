"""The life of a pod as a state machine, and what has to be done at each of its moves.

Pure; `runner.py` does it.

    STARTING -> SERVING -> LAME_DUCK -> DRAINING -> DRAINED
                   ^----------'------------'-----------'      Undrain, until the process was told to
                   end
    any -> FAILED                                             the engine died

There is one order of draining, whoever asks: not ready but still accepting (channels behind a
Service are pinned, their retries would come back here), then no new calls while running ones
finish, then at the limit a last message with the text so far. SIGTERM is a Drain that cannot be
taken back and ends the process; a second one does not wait any longer.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto


class Phase(Enum):
    """Where the pod is in its life."""

    STARTING = auto()
    SERVING = auto()
    LAME_DUCK = auto()
    DRAINING = auto()
    DRAINED = auto()
    FAILED = auto()


LEAVING = frozenset({Phase.LAME_DUCK, Phase.DRAINING, Phase.DRAINED})
"""Phases of a pod that was asked to drain."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The state.

    Attributes:
        phase: where it is.
        is_final: the process was told to end.
        timeout: seconds that running generations get in a drain.
        epoch: grows with every phase; a timer of an older epoch means nothing any more.
    """

    phase: Phase = Phase.STARTING
    is_final: bool = False
    timeout: float = 0.0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is loaded and one step ran."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Somebody wants the pod out of service; running generations get `timeout` seconds."""

    timeout: float


@dataclass(frozen=True, slots=True)
class Undrain:
    """Somebody takes a drain back."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """SIGTERM or SIGINT; like a Drain with the pod's own limit, and final."""

    timeout: float


@dataclass(frozen=True, slots=True)
class LameDuckOver:
    """The time for endpoints to change is over."""

    epoch: int


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Running generations had their time."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The data port has no call left."""

    epoch: int


@dataclass(frozen=True, slots=True)
class EngineDied:
    """Nothing can be computed any more."""


Event = Loaded | Drain | Undrain | Terminate | LameDuckOver | LimitReached | Closed | EngineDied


class Effect(Enum):
    """What the runner does."""

    OPEN_DATA = auto()
    BECOME_READY = auto()
    BECOME_UNREADY = auto()
    BECOME_DEAD = auto()
    WAIT_LAME_DUCK = auto()
    CLOSE_DATA = auto()
    WAIT_LIMIT = auto()
    END_RUNNING = auto()
    EXIT = auto()
    EXIT_FAILED = auto()


@dataclass(frozen=True, slots=True)
class Move:
    """The next state and what to do, in this order."""

    state: Lifecycle
    effects: tuple[Effect, ...] = ()


class NotNowError(Exception):
    """The event is a wish that cannot be granted in this state; the text is for whoever wished."""


def advance(state: Lifecycle, event: Event) -> Move:
    """Returns the next move. Raises NotNowError for a wish that cannot be granted."""
    if state.phase is Phase.FAILED:
        return Move(state)
    match event:
        case Loaded():
            return _loaded(state)
        case Drain(timeout):
            return _drain(state, timeout)
        case Terminate(timeout):
            return _terminate(state, timeout)
        case Undrain():
            return _undrain(state)
        case EngineDied():
            return _enter(
                state, Phase.FAILED, Effect.BECOME_UNREADY, Effect.BECOME_DEAD, Effect.EXIT_FAILED
            )
        case _:
            return _passed(state, event) if event.epoch == state.epoch else Move(state)


def _passed(state: Lifecycle, event: LameDuckOver | LimitReached | Closed) -> Move:
    """Something that this phase was waiting for is over."""
    match state.phase, event:
        case Phase.LAME_DUCK, LameDuckOver():
            return _enter(state, Phase.DRAINING, Effect.CLOSE_DATA, Effect.WAIT_LIMIT)
        case Phase.DRAINING, LimitReached():
            return Move(state, (Effect.END_RUNNING,))
        case Phase.DRAINING, Closed():
            exit_now = (Effect.EXIT,) if state.is_final else ()
            return _enter(state, Phase.DRAINED, *exit_now)
        case _:
            return Move(state)


def _loaded(state: Lifecycle) -> Move:
    if state.phase is not Phase.STARTING:
        return Move(state)
    return _enter(state, Phase.SERVING, Effect.OPEN_DATA, Effect.BECOME_READY)


def _drain(state: Lifecycle, timeout: float) -> Move:
    """A second Drain changes nothing but, before calls are refused, the limit."""
    match state.phase:
        case Phase.STARTING:
            raise NotNowError("The model is still loading; drain the pod once it serves")
        case Phase.SERVING:
            state = replace(state, timeout=timeout)
            return _enter(state, Phase.LAME_DUCK, Effect.BECOME_UNREADY, Effect.WAIT_LAME_DUCK)
        case Phase.LAME_DUCK if not state.is_final:
            return Move(replace(state, timeout=timeout))
        case _:
            return Move(state)


def _undrain(state: Lifecycle) -> Move:
    if state.is_final:
        raise NotNowError("The process was told to end; a drain cannot be taken back any more")
    match state.phase:
        case Phase.LAME_DUCK:
            return _enter(state, Phase.SERVING, Effect.BECOME_READY)
        case Phase.DRAINING | Phase.DRAINED:
            return _enter(state, Phase.SERVING, Effect.OPEN_DATA, Effect.BECOME_READY)
        case _:
            return Move(state)


def _terminate(state: Lifecycle, timeout: float) -> Move:
    """The pod's own limit counts from now; whoever sent the signal waits no longer for its end."""
    again, state = state.is_final, replace(state, is_final=True)
    shorter = replace(state, timeout=min(state.timeout, timeout))
    match state.phase:
        case Phase.STARTING | Phase.DRAINED:
            return _enter(state, Phase.DRAINED, Effect.EXIT)
        case Phase.SERVING:
            state = replace(state, timeout=timeout)
            return _enter(state, Phase.LAME_DUCK, Effect.BECOME_UNREADY, Effect.WAIT_LAME_DUCK)
        case Phase.LAME_DUCK if again:
            return _enter(state, Phase.DRAINING, Effect.CLOSE_DATA, Effect.END_RUNNING)
        case Phase.LAME_DUCK:
            return Move(shorter)
        case Phase.DRAINING if again:
            return Move(state, (Effect.END_RUNNING,))
        case Phase.DRAINING:
            return Move(shorter, (Effect.WAIT_LIMIT,))
        case _:
            return Move(state)


def _enter(state: Lifecycle, phase: Phase, *effects: Effect) -> Move:
    return Move(replace(state, phase=phase, epoch=state.epoch + 1), effects)
