"""Which ports are opened, kept and retired."""

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.activator.listeners import Changes, changes
from llm_operator.kube.store import Key

A, B = Key("n", "a"), Key("n", "b")
keys = st.sampled_from([Key("n", name) for name in "abcd"])
ports = st.integers(1, 5)
open_ones = st.dictionaries(ports, keys)
wishes = st.dictionaries(keys, ports)


def test_what_is_wanted_is_opened() -> None:
    assert changes({}, {}, {A: 1, B: 2}) == Changes(opened=((1, A), (2, B)))


def test_what_is_open_and_wanted_stays() -> None:
    assert changes({1: A}, {}, {A: 1}) == Changes()


def test_what_nobody_wants_any_more_is_retired() -> None:
    assert changes({1: A, 2: B}, {}, {B: 2}) == Changes(retired=(1,))


def test_a_port_that_retires_and_is_wanted_again_returns() -> None:
    assert changes({}, {1: A}, {A: 1}) == Changes(returned=(1,))


def test_who_moves_to_another_port_keeps_the_old_one_until_it_is_retired() -> None:
    assert changes({1: A}, {}, {A: 2}) == Changes(opened=((2, A),), retired=(1,))


def test_a_port_stays_with_whom_it_has() -> None:
    assert changes({1: B}, {}, {A: 1, B: 1}) == Changes(contested=(A,))


def test_a_port_that_retires_is_not_given_to_another_yet() -> None:
    assert changes({}, {1: A}, {B: 1}) == Changes(contested=(B,))


def test_of_two_that_want_a_free_port_the_first_by_name_gets_it() -> None:
    assert changes({}, {}, {B: 1, A: 1}) == Changes(opened=((1, A),), contested=(B,))


@given(open_ones, open_ones, wishes)
def test_no_port_ever_has_two_owners(
    listening: dict[int, Key], retiring: dict[int, Key], wanted: dict[Key, int]
) -> None:
    retiring = {port: key for port, key in retiring.items() if port not in listening}
    found = changes(listening, retiring, wanted)
    opened = dict(found.opened)
    assert len(opened) == len(found.opened)
    assert not opened.keys() & (listening.keys() | retiring.keys())
    assert set(found.retired) <= listening.keys()
    assert set(found.returned) <= retiring.keys()


@given(open_ones, wishes)
def test_whoever_wants_a_port_gets_one_or_is_told_of(
    listening: dict[int, Key], wanted: dict[Key, int]
) -> None:
    found = changes(listening, {}, wanted)
    for key, port in wanted.items():
        has_it = listening.get(port) == key or dict(found.opened).get(port) == key
        assert has_it != (key in found.contested)


@given(open_ones, wishes)
def test_a_change_that_was_made_leads_to_no_other(
    listening: dict[int, Key], wanted: dict[Key, int]
) -> None:
    first = changes(listening, {}, wanted)
    now = {port: key for port, key in listening.items() if port not in first.retired}
    retired = {port: listening[port] for port in first.retired}
    assert changes({**now, **dict(first.opened)}, retired, wanted) == Changes(
        contested=first.contested
    )
