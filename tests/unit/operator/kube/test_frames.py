"""Watch frames: whatever the network does to the bytes, whole events come out or none."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.kube.errors import StreamBrokenError
from llm_operator.kube.frames import LINE_LIMIT, Splitter, parse


def a_line(version: int = 7, kind: str = "ADDED", name: str = "a") -> bytes:
    manifest = {"metadata": {"name": name, "namespace": "n", "resourceVersion": str(version)}}
    return json.dumps({"type": kind, "object": manifest}, ensure_ascii=False).encode()


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(
    names=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=8),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
)
def test_events_are_the_same_wherever_the_bytes_are_cut(names: list[str], cuts: list[int]) -> None:
    body = b"".join(a_line(name=name) + b"\n" for name in names)
    splitter = Splitter()
    lines = [line for piece in pieces_of(body, cuts) for line in splitter.feed(piece)]
    assert [parse(line).object["metadata"]["name"] for line in lines] == names


def test_a_line_that_was_cut_off_is_not_an_event() -> None:
    splitter = Splitter()
    assert list(splitter.feed(a_line(1) + b"\n" + a_line(2)[:-5])) == [a_line(1)]


def test_empty_lines_are_no_events() -> None:
    assert list(Splitter().feed(b"\n\n  \n" + a_line() + b"\n")) == [a_line()]


def test_a_line_without_end_does_not_eat_the_memory() -> None:
    splitter = Splitter()
    for _ in range(LINE_LIMIT // 2**20):
        assert list(splitter.feed(b"x" * 2**20)) == []
    with pytest.raises(StreamBrokenError):
        list(splitter.feed(b"x"))


def test_an_event_carries_its_type_and_version() -> None:
    event = parse(a_line(version=42, kind="MODIFIED"))
    assert (event.type, event.resource_version) == ("MODIFIED", "42")


def test_an_error_frame_needs_no_version() -> None:
    event = parse(b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}')
    assert event.object["code"] == 410


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"[]",
        b"{}",
        b"null",
        b'{"type": "ADDED"}',
        b'{"type": "ADDED", "object": 1}',
        b'{"type": "ADDED", "object": {}}',
        b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": 3}}}',
        b'{"type": "PUSHED", "object": {"metadata": {"resourceVersion": "3"}}}',
        b'{"type": [], "object": {"metadata": {"resourceVersion": "3"}}}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(StreamBrokenError):
        parse(line)


@given(st.binary(max_size=200))
def test_no_line_makes_the_parser_fail_in_another_way(line: bytes) -> None:
    try:
        parse(line)
    except StreamBrokenError:
        return
