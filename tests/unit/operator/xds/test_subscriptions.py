"""One stream: what is due, what was accepted, what was refused."""

import pytest
from google.protobuf import any_pb2

from llm_operator.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTE, Name, Resource
from llm_operator.xds.subscriptions import (
    COMPLETE,
    MOST_NAMES,
    TYPES,
    Answer,
    Request,
    Subscriptions,
    TooManyNamesError,
)

Known = dict[Name, Resource]


def resource(version: str) -> Resource:
    return Resource(version, any_pb2.Any(value=version.encode()))


def known(type_url: str, **versions: str) -> Known:
    return {Name(type_url, name): resource(version) for name, version in versions.items()}


def asked(type_url: str, *names: str) -> Subscriptions:
    mine = Subscriptions()
    mine.take(Request(type_url, frozenset(names)))
    return mine


def told(mine: Subscriptions, type_url: str, there: Known, now: float = 0.0) -> Answer:
    answer = mine.due(type_url, there.get, now)
    assert answer is not None
    return answer


def accept(mine: Subscriptions, answer: Answer, *names: str) -> None:
    assert not mine.take(Request(answer.type_url, frozenset(names), answer.nonce))


def versions(answer: Answer) -> list[str]:
    return [found.version for found in answer.resources]


@pytest.mark.parametrize("type_url", TYPES)
def test_what_is_asked_for_is_told_once(type_url: str) -> None:
    mine, there = asked(type_url, "a"), known(type_url, a="1", b="1")
    answer = told(mine, type_url, there)
    assert versions(answer) == ["1"]
    assert mine.due(type_url, there.get, 0.0) is None


@pytest.mark.parametrize("type_url", TYPES)
def test_a_change_is_told_without_being_asked_for(type_url: str) -> None:
    mine = asked(type_url, "a")
    told(mine, type_url, known(type_url, a="1"))
    assert versions(told(mine, type_url, known(type_url, a="2"))) == ["2"]


@pytest.mark.parametrize("type_url", sorted(COMPLETE))
def test_an_answer_for_listeners_and_clusters_holds_everything(type_url: str) -> None:
    mine = asked(type_url, "a", "b")
    told(mine, type_url, known(type_url, a="1", b="1"))
    assert versions(told(mine, type_url, known(type_url, a="2", b="1"))) == ["2", "1"]


@pytest.mark.parametrize("type_url", [ROUTE, ENDPOINTS])
def test_an_answer_for_routes_and_endpoints_holds_what_has_changed(type_url: str) -> None:
    mine = asked(type_url, "a", "b")
    told(mine, type_url, known(type_url, a="1", b="1"))
    assert versions(told(mine, type_url, known(type_url, a="2", b="1"))) == ["2"]


@pytest.mark.parametrize("type_url", sorted(COMPLETE))
def test_of_a_listener_or_cluster_that_is_not_there_the_client_is_told_so(type_url: str) -> None:
    assert told(asked(type_url, "a"), type_url, {}).resources == ()


@pytest.mark.parametrize("type_url", sorted(COMPLETE))
def test_the_end_of_a_listener_or_cluster_is_told(type_url: str) -> None:
    mine = asked(type_url, "a", "b")
    told(mine, type_url, known(type_url, a="1", b="1"))
    assert versions(told(mine, type_url, known(type_url, b="1"))) == ["1"]


@pytest.mark.parametrize("type_url", [ROUTE, ENDPOINTS])
def test_of_a_route_or_endpoints_that_are_not_there_nothing_is_said(type_url: str) -> None:
    assert asked(type_url, "a").due(type_url, Known().get, 0.0) is None


def test_what_is_dropped_and_asked_for_again_is_told_again() -> None:
    mine, there = asked(ENDPOINTS, "a"), known(ENDPOINTS, a="1")
    first = told(mine, ENDPOINTS, there)
    mine.take(Request(ENDPOINTS, frozenset(), first.nonce))
    mine.take(Request(ENDPOINTS, frozenset({"a"}), first.nonce))
    assert versions(told(mine, ENDPOINTS, there)) == ["1"]


def test_a_new_name_is_told_beside_the_old_ones() -> None:
    mine, there = asked(ENDPOINTS, "a"), known(ENDPOINTS, a="1", b="1")
    first = told(mine, ENDPOINTS, there)
    accept(mine, first, "a", "b")
    assert versions(told(mine, ENDPOINTS, there)) == ["1"]


def test_an_answer_that_is_acknowledged_is_accepted() -> None:
    mine = asked(ROUTE, "a")
    answer = told(mine, ROUTE, known(ROUTE, a="1"))
    assert not mine.has_accepted(Name(ROUTE, "a"), "1")
    accept(mine, answer, "a")
    assert mine.has_accepted(Name(ROUTE, "a"), "1")


def test_the_reply_to_an_older_answer_accepts_nothing() -> None:
    mine = asked(ROUTE, "a")
    first = told(mine, ROUTE, known(ROUTE, a="1"))
    told(mine, ROUTE, known(ROUTE, a="2"))
    accept(mine, first, "a")
    assert not mine.has_accepted(Name(ROUTE, "a"), "2")


def test_a_refused_answer_is_neither_accepted_nor_told_again() -> None:
    mine, there = asked(ROUTE, "a"), known(ROUTE, a="1")
    answer = told(mine, ROUTE, there)
    assert mine.take(Request(ROUTE, frozenset({"a"}), answer.nonce, "no such policy"))
    assert not mine.has_accepted(Name(ROUTE, "a"), "1")
    assert mine.refusals() == {ROUTE: "no such policy"}
    assert mine.due(ROUTE, there.get, 0.0) is None


def test_what_comes_after_a_refusal_can_be_accepted() -> None:
    mine = asked(ROUTE, "a")
    first = told(mine, ROUTE, known(ROUTE, a="1"))
    mine.take(Request(ROUTE, frozenset({"a"}), first.nonce, "no"))
    accept(mine, told(mine, ROUTE, known(ROUTE, a="2")), "a")
    assert mine.refusals() == {}
    assert mine.has_accepted(Name(ROUTE, "a"), "2")


def test_a_client_that_comes_back_with_what_it_knew_is_told_everything() -> None:
    mine = Subscriptions()
    mine.take(Request(CLUSTER, frozenset({"a"}), nonce=""))
    assert versions(told(mine, CLUSTER, known(CLUSTER, a="1"))) == ["1"]


def test_who_does_not_reply_is_known_with_the_time_of_the_oldest_answer() -> None:
    mine = asked(ROUTE, "a")
    assert mine.silent_since() is None
    answer = told(mine, ROUTE, known(ROUTE, a="1"), now=5.0)
    assert mine.silent_since() == 5.0
    accept(mine, answer, "a")
    assert mine.silent_since() is None


def test_the_version_follows_from_what_is_said() -> None:
    one = told(asked(ROUTE, "a"), ROUTE, known(ROUTE, a="1")).version
    same = told(asked(ROUTE, "a"), ROUTE, known(ROUTE, a="1", b="2")).version
    other = told(asked(ROUTE, "a"), ROUTE, known(ROUTE, a="2")).version
    assert (one == same, one == other) == (True, False)


def test_unknown_types_are_ignored() -> None:
    mine = Subscriptions()
    assert not mine.take(Request("type.googleapis.com/a.Secret", frozenset({"a"})))
    assert mine.names() == frozenset()


def test_more_names_than_are_served_are_refused_with_the_limit() -> None:
    names = frozenset(str(number) for number in range(MOST_NAMES + 1))
    with pytest.raises(TooManyNamesError, match=str(MOST_NAMES)):
        Subscriptions().take(Request(LISTENER, names))
