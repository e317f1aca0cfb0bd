from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.engine.request import End, Ending, Stopping
from llm_runtime.engine.stop import Matched, StopMatcher, banned_before, end_after


def test_a_stop_token_ends_the_answer_and_is_named() -> None:
    stopping = Stopping(max_new_tokens=10, stop_ids=frozenset({7}))
    assert end_after(stopping, 7, 1) == End(Ending.STOP, stop_id=7)


def test_the_last_token_ends_the_answer_by_length() -> None:
    stopping = Stopping(max_new_tokens=3)
    assert [end_after(stopping, 1, produced) for produced in (2, 3)] == [None, End(Ending.LENGTH)]


def test_a_stop_token_at_the_very_end_counts_as_stop() -> None:
    stopping = Stopping(max_new_tokens=3, stop_ids=frozenset({7}))
    assert end_after(stopping, 7, 3) == End(Ending.STOP, stop_id=7)


def test_stop_tokens_cannot_be_chosen_before_the_least_number_of_tokens() -> None:
    stopping = Stopping(max_new_tokens=9, min_new_tokens=2, stop_ids=frozenset({7}))
    assert [banned_before(stopping, produced) for produced in range(3)] == [{7}, {7}, frozenset()]


def test_text_that_cannot_become_a_stop_string_is_not_delayed() -> None:
    matcher = StopMatcher(["\n\n", "END"])
    assert [matcher.feed(piece).text for piece in ("Hello", " wor", "ld")] == [
        "Hello",
        " wor",
        "ld",
    ]


def test_the_beginning_of_a_stop_string_is_held_back_until_it_is_certain() -> None:
    matcher = StopMatcher(["STOP"])
    assert matcher.feed("a ST") == Matched("a ")
    assert matcher.feed("A") == Matched("STA")


def test_a_stop_string_across_pieces_is_cut_out() -> None:
    matcher = StopMatcher(["STOP"])
    assert matcher.feed("say S") == Matched("say ")
    assert matcher.feed("TO") == Matched("")
    assert matcher.feed("P now") == Matched("", "STOP")


def test_the_stop_string_stays_when_it_is_included() -> None:
    assert StopMatcher(["."], include=True).feed("One. Two.") == Matched("One.", ".")


def test_the_string_that_is_completed_first_wins() -> None:
    assert StopMatcher(["abcd", "bc"]).feed("xabcd") == Matched("xa", "bc")


def test_what_was_held_back_comes_out_at_the_end() -> None:
    matcher = StopMatcher(["STOP"])
    matcher.feed("x STO")
    assert matcher.flush() == "STO"
    assert matcher.flush() == ""


def char_by_char(text: str, stops: list[str], *, include: bool) -> tuple[str, str | None]:
    """The definition: the answer ends with the first character that completes a stop string."""
    for end in range(1, len(text) + 1):
        done = [stop for stop in stops if text[:end].endswith(stop)]
        if done:
            stop = max(done, key=len)
            return text[: end if include else end - len(stop)], stop
    return text, None


texts = st.text(alphabet="abc€", max_size=30)
some_stops = st.lists(st.text(alphabet="abc€", min_size=1, max_size=4), max_size=4)


@given(texts, some_stops, st.lists(st.integers(0, 30)), st.booleans())
def test_however_the_text_is_cut_the_result_is_the_same(
    text: str, stops: list[str], cuts: list[int], include: bool
) -> None:
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    matcher = StopMatcher(stops, include=include)
    shown, stop = "", None
    for start, end in pairwise(bounds):
        matched = matcher.feed(text[start:end])
        shown += matched.text
        stop = matched.stop
        assert include or not any(each in shown for each in stops)
        if stop is not None:
            break
    if stop is None:
        shown += matcher.flush()
    assert (shown, stop) == char_by_char(text, stops, include=include)


@given(texts, some_stops)
def test_no_part_of_a_stop_string_leaks_before_it_is_completed(text: str, stops: list[str]) -> None:
    expected, _ = char_by_char(text, stops, include=False)
    matcher = StopMatcher(stops)
    shown = ""
    for character in text:
        matched = matcher.feed(character)
        shown += matched.text
        assert expected.startswith(shown)
        if matched.stop:
            break
