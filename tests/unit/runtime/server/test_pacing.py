from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.server.pacing import News, Pace, Send, Wait, next_move

PACE = Pace(shortest=0.5, longest=5.0)


def test_a_change_of_state_is_told_at_once() -> None:
    assert next_move(0.0, News.STATE, PACE) == Send()


def test_a_change_of_load_waits_for_its_turn_and_then_for_nothing_but_states() -> None:
    assert next_move(0.25, News.LOAD, PACE) == Wait(0.25, for_load=False)
    assert next_move(0.5, News.LOAD, PACE) == Send()


def test_without_a_change_a_sign_of_life_is_due_after_the_longest_pause() -> None:
    assert next_move(4.0, News.NONE, PACE) == Wait(1.0, for_load=True)
    assert next_move(5.0, News.NONE, PACE) == Send()


@dataclass(frozen=True)
class Change:
    at: float
    news: News


@dataclass(frozen=True)
class Sent:
    at: float
    news: News


def watch(changes: list[Change], end: float) -> list[Sent]:
    """Follows the moves through a history, as a watcher that is woken as it asked to be."""
    now, told, sent = 0.0, 0.0, [Sent(0.0, News.NONE)]
    pending = News.NONE
    ahead = sorted(changes, key=lambda change: change.at)
    while now < end:
        move = next_move(now - told, pending, PACE)
        if isinstance(move, Send):
            sent.append(Sent(now, pending))
            told, pending = now, News.NONE
            continue
        until = now + move.seconds
        while ahead and ahead[0].at <= until:
            change = ahead.pop(0)
            now = change.at
            pending = News.STATE if News.STATE in (pending, change.news) else News.LOAD
            if change.news is News.STATE or move.for_load:
                break
        else:
            now = until + 1e-9  # a clock that goes on
    return sent


changes = st.lists(
    st.builds(
        Change,
        st.floats(0.001, 60).map(lambda at: round(at, 3)),
        st.sampled_from([News.LOAD, News.LOAD, News.LOAD, News.STATE]),
    ),
    max_size=60,
)


@given(changes)
def test_changes_of_load_are_told_at_most_twice_a_second(history: list[Change]) -> None:
    sent = watch(history, 60)
    for before, after in pairwise(sent):
        assert after.news is News.STATE or after.at - before.at >= 0.5 - 1e-9


@given(changes)
def test_a_stream_is_never_silent_for_longer_than_the_longest_pause(history: list[Change]) -> None:
    sent = watch(history, 60)
    assert max(after.at - before.at for before, after in pairwise(sent)) <= 5.001


@given(changes)
def test_every_change_is_told_and_a_state_without_delay(history: list[Change]) -> None:
    sent = watch(history, 70)
    for change in history:
        limit = 0.0 if change.news is News.STATE else PACE.shortest
        assert any(change.at <= told.at <= change.at + limit + 1e-6 for told in sent), change
