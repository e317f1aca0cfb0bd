from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.engine.channel import Delivery
from llm_runtime.engine.request import End, Ending
from llm_runtime.server.answer import Answer, Finish, Piece
from llm_runtime.server.parse import TextOptions

LENGTH = End(Ending.LENGTH)


class Letters:
    """Token n is the n-th letter; what is fed after "(" comes out with ")"."""

    def __init__(self) -> None:
        self._held: str | None = None

    def feed(self, token: int) -> str:
        letter = chr(token)
        if letter == "(":
            self._held = ""
            return ""
        if self._held is None:
            return letter
        if letter == ")":
            held, self._held = self._held, None
            return held
        self._held += letter
        return ""

    def flush(self) -> str:
        held, self._held = self._held or "", None
        return held


def options(*stops: str, include: bool = False, least: int = 0) -> TextOptions:
    return TextOptions(stops, include, least, keep_special=False, token_ids=True)


def codes(text: str) -> tuple[int, ...]:
    return tuple(ord(letter) for letter in text)


def answer(how: TextOptions, *deliveries: Delivery) -> list[Piece]:
    following = Answer(Letters(), how)
    pieces = []
    for delivery in deliveries:
        pieces.append(following.take(delivery))
        if pieces[-1].finish:
            break
    return pieces


def test_tokens_become_text_as_they_come() -> None:
    pieces = answer(options(), Delivery(codes("ab")), Delivery(codes("c"), LENGTH))
    assert pieces == [
        Piece("ab", codes("ab")),
        Piece("c", codes("c"), Finish(Ending.LENGTH, 3)),
    ]


def test_the_token_that_ends_the_answer_counts_but_says_nothing() -> None:
    end = End(Ending.STOP, stop_id=ord("!"))
    [piece] = answer(options(), Delivery(codes("hi!"), end))
    assert piece == Piece("hi", codes("hi!"), Finish(Ending.STOP, 3, stop_id=ord("!")))


def test_the_same_token_before_the_end_is_text() -> None:
    end = End(Ending.STOP, stop_id=ord("!"))
    [piece] = answer(options(), Delivery(codes("a!b!"), end))
    assert piece.text == "a!b"


def test_a_stop_string_ends_the_answer_and_later_tokens_do_not_count() -> None:
    [piece] = answer(options("bc"), Delivery(codes("abcdef")))
    assert piece == Piece("a", codes("abc"), Finish(Ending.STOP, 3, stop_string="bc"))


def test_a_stop_string_is_not_obeyed_before_the_least_number_of_tokens() -> None:
    [piece] = answer(options("b", least=4), Delivery(codes("ababab")))
    assert (piece.text, piece.finish) == ("aba", Finish(Ending.STOP, 4, stop_string="b"))


def test_what_was_held_back_comes_with_the_end() -> None:
    pieces = answer(options("xyz"), Delivery(codes("ax")), Delivery(codes("y"), LENGTH))
    assert [piece.text for piece in pieces] == ["a", "xy"]


def test_text_that_comes_only_with_the_end_can_still_complete_a_stop_string() -> None:
    [piece] = answer(options("xy"), Delivery(codes("a(xy"), LENGTH))
    assert (piece.text, piece.finish) == ("a", Finish(Ending.STOP, 4, stop_string="xy"))


def test_a_drained_answer_keeps_its_text() -> None:
    [piece] = answer(options("zz"), Delivery(codes("abz"), End(Ending.DRAINED)))
    assert (piece.text, piece.finish) == ("abz", Finish(Ending.DRAINED, 3))


@given(
    st.text(alphabet="ab()", max_size=20),
    st.lists(st.integers(1, 5)),
    st.lists(st.text(alphabet="ab", min_size=1, max_size=3), max_size=2),
    st.integers(0, 6),
)
def test_deliveries_of_any_size_give_the_same_answer(
    text: str, sizes: list[int], stops: list[str], least: int
) -> None:
    how = options(*stops, least=least)
    whole = answer(how, Delivery(codes(text), LENGTH))
    deliveries, rest = [], codes(text)
    for size in sizes:
        deliveries.append(Delivery(rest[:size]))
        rest = rest[size:]
    pieces = answer(how, *deliveries, Delivery(rest, LENGTH))
    assert "".join(piece.text for piece in pieces) == whole[0].text
    assert pieces[-1].finish == whole[0].finish
    assert sum((piece.token_ids for piece in pieces), ()) == whole[0].token_ids
