from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.server.lifecycle import (
    Closed,
    Drain,
    Effect,
    EngineDied,
    Event,
    LameDuckOver,
    Lifecycle,
    LimitReached,
    Loaded,
    Move,
    NotNowError,
    Phase,
    Terminate,
    Undrain,
    advance,
)

START = Lifecycle()


def after(*events: Event) -> Lifecycle:
    """The state after events; a timer's epoch is filled in with the current one."""
    state = START
    for event in events:
        if isinstance(event, LameDuckOver | LimitReached | Closed):
            event = replace(event, epoch=state.epoch)
        state = advance(state, event).state
    return state


LAME_DUCK_OVER, LIMIT_REACHED, CLOSED = LameDuckOver(0), LimitReached(0), Closed(0)
DRAIN, TERMINATE = Drain(60), Terminate(300)


def now(state: Lifecycle, event: LameDuckOver | LimitReached | Closed) -> Move:
    return advance(state, replace(event, epoch=state.epoch))


def test_a_loaded_pod_opens_its_port_before_it_says_ready() -> None:
    move = advance(START, Loaded())
    assert move.state.phase is Phase.SERVING
    assert move.effects == (Effect.OPEN_DATA, Effect.BECOME_READY)


def test_draining_begins_by_being_unready_while_still_accepting() -> None:
    move = advance(after(Loaded()), DRAIN)
    assert move.state.phase is Phase.LAME_DUCK
    assert move.effects == (Effect.BECOME_UNREADY, Effect.WAIT_LAME_DUCK)


def test_after_the_lame_duck_time_calls_are_refused_and_the_limit_runs() -> None:
    move = now(after(Loaded(), DRAIN), LAME_DUCK_OVER)
    assert move.state.phase is Phase.DRAINING
    assert move.effects == (Effect.CLOSE_DATA, Effect.WAIT_LIMIT)
    assert move.state.timeout == 60


def test_at_the_limit_running_generations_end() -> None:
    state = after(Loaded(), DRAIN, LAME_DUCK_OVER)
    assert now(state, LIMIT_REACHED).effects == (Effect.END_RUNNING,)


def test_a_drained_pod_stays_without_the_signal_and_exits_with_it() -> None:
    drained = now(after(Loaded(), DRAIN, LAME_DUCK_OVER), CLOSED)
    assert (drained.state.phase, drained.effects) == (Phase.DRAINED, ())
    assert advance(drained.state, TERMINATE).effects == (Effect.EXIT,)


def test_the_signal_is_a_drain_that_ends_with_the_exit() -> None:
    state = after(Loaded(), TERMINATE, LAME_DUCK_OVER)
    assert state.timeout == 300
    move = now(state, CLOSED)
    assert (move.state.phase, move.effects) == (Phase.DRAINED, (Effect.EXIT,))


def test_the_signal_during_a_drain_lets_it_go_on_and_exits_at_its_end() -> None:
    state = after(Loaded(), DRAIN, LAME_DUCK_OVER)
    move = advance(state, TERMINATE)
    assert move.state.phase is Phase.DRAINING
    assert Effect.END_RUNNING not in move.effects
    assert now(move.state, CLOSED).effects == (Effect.EXIT,)


@pytest.mark.parametrize("asked", [5.0, 86_400.0])
def test_after_the_signal_a_drain_takes_no_longer_than_the_pods_own_limit(asked: float) -> None:
    lame = advance(after(Loaded(), Drain(asked)), TERMINATE)
    assert (lame.state.timeout, lame.effects) == (min(asked, 300), ())
    draining = advance(after(Loaded(), Drain(asked), LAME_DUCK_OVER), TERMINATE)
    assert (draining.state.timeout, draining.effects) == (min(asked, 300), (Effect.WAIT_LIMIT,))
    assert now(draining.state, LIMIT_REACHED).effects == (Effect.END_RUNNING,)


def test_a_pod_that_still_loads_ends_at_once() -> None:
    assert advance(START, TERMINATE).effects == (Effect.EXIT,)


def test_a_second_signal_does_not_wait() -> None:
    lame = advance(after(Loaded(), TERMINATE), TERMINATE)
    assert lame.state.phase is Phase.DRAINING
    assert lame.effects == (Effect.CLOSE_DATA, Effect.END_RUNNING)
    draining = after(Loaded(), TERMINATE, LAME_DUCK_OVER)
    assert advance(draining, TERMINATE).effects == (Effect.END_RUNNING,)


def test_undrain_before_calls_are_refused_only_says_ready() -> None:
    move = advance(after(Loaded(), DRAIN), Undrain())
    assert (move.state.phase, move.effects) == (Phase.SERVING, (Effect.BECOME_READY,))


@pytest.mark.parametrize("events", [(LAME_DUCK_OVER,), (LAME_DUCK_OVER, CLOSED)])
def test_undrain_later_opens_a_fresh_port(events: tuple[Event, ...]) -> None:
    move = advance(after(Loaded(), DRAIN, *events), Undrain())
    assert move.state.phase is Phase.SERVING
    assert move.effects == (Effect.OPEN_DATA, Effect.BECOME_READY)


@pytest.mark.parametrize("events", [(), (LAME_DUCK_OVER,), (LAME_DUCK_OVER, CLOSED)])
def test_after_the_signal_nothing_is_taken_back(events: tuple[Event, ...]) -> None:
    with pytest.raises(NotNowError, match="told to end"):
        advance(after(Loaded(), TERMINATE, *events), Undrain())


def test_a_pod_that_loads_cannot_be_drained() -> None:
    with pytest.raises(NotNowError, match="still loading"):
        advance(START, DRAIN)


def test_undrain_of_a_serving_pod_changes_nothing() -> None:
    state = after(Loaded())
    assert advance(state, Undrain()) == Move(state)


def test_a_second_drain_moves_the_limit_but_does_not_start_over() -> None:
    move = advance(after(Loaded(), DRAIN), Drain(5))
    assert (move.state.phase, move.state.timeout, move.effects) == (Phase.LAME_DUCK, 5, ())


def test_a_drain_call_does_not_change_the_limit_of_the_signal() -> None:
    assert advance(after(Loaded(), TERMINATE), Drain(1)).state.timeout == 300


def test_timers_of_an_older_drain_mean_nothing() -> None:
    first = after(Loaded(), DRAIN)
    second = advance(advance(first, Undrain()).state, DRAIN).state
    for stale in (LameDuckOver(first.epoch), Closed(first.epoch), LimitReached(first.epoch)):
        assert advance(second, stale) == Move(second)


def test_a_dead_engine_fails_the_pod_from_anywhere() -> None:
    for state in (START, after(Loaded()), after(Loaded(), DRAIN, LAME_DUCK_OVER)):
        move = advance(state, EngineDied())
        assert move.state.phase is Phase.FAILED
        assert move.effects == (Effect.BECOME_UNREADY, Effect.BECOME_DEAD, Effect.EXIT_FAILED)


events = st.one_of(
    st.sampled_from([Loaded(), Undrain(), EngineDied()]),
    st.builds(Drain, st.floats(0, 100)),
    st.builds(Terminate, st.floats(0, 100)),
    st.builds(LameDuckOver, st.integers(0, 8)),
    st.builds(LimitReached, st.integers(0, 8)),
    st.builds(Closed, st.integers(0, 8)),
)


@given(st.lists(events, max_size=20))
def test_the_port_is_open_exactly_while_calls_are_accepted(sequence: list[Event]) -> None:
    state, is_open, is_ready, exits = START, False, False, 0
    for event in sequence:
        try:
            move = advance(state, event)
        except NotNowError:
            continue
        assert not (state.is_final and not move.state.is_final)
        for effect in move.effects:
            assert effect is not Effect.OPEN_DATA or not is_open
            assert effect is not Effect.CLOSE_DATA or is_open
            is_open = (is_open or effect is Effect.OPEN_DATA) and effect is not Effect.CLOSE_DATA
            if effect in (Effect.BECOME_READY, Effect.BECOME_UNREADY):
                is_ready = effect is Effect.BECOME_READY
            exits += effect in (Effect.EXIT, Effect.EXIT_FAILED)
        state = move.state
        if state.phase is not Phase.FAILED:
            assert is_open == (state.phase in (Phase.SERVING, Phase.LAME_DUCK))
            assert is_ready == (state.phase is Phase.SERVING)
    assert not is_ready or not state.is_final
