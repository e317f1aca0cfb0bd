from pathlib import Path

import pytest
from bench.load.arrivals import Arrival
from bench.load.grammar import InvalidPlanError
from bench.load.lengths import Lengths
from bench.load.trace import parse_trace, read_trace


def read(*lines: str) -> list[Arrival]:
    return list(parse_trace("a.csv", lines))


def test_a_trace_gives_arrivals_with_lengths() -> None:
    found = read("seconds,prompt_tokens,output_tokens", "0,10,20", "", "1.5,30,40")
    assert found == [Arrival(0.0, Lengths(10, 20)), Arrival(1.5, Lengths(30, 40))]


def test_a_trace_needs_no_heading() -> None:
    assert read("0,10,20") == [Arrival(0.0, Lengths(10, 20))]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ((), "a.csv: holds no request"),
        (("seconds,prompt,output",), "a.csv: holds no request"),
        (("0,1",), "line 1: has 2 columns; seconds, prompt tokens and output tokens"),
        (("5,1,1", "4,1,1"), "line 2: seconds is 4, before the line above; sort the trace"),
        (("-1,1,1",), "line 1: seconds is -1"),
        (("0,1,1", "x,1,1"), "line 2: seconds is 'x', not a number"),
        (("0,1,1", "nan,1,1"), "line 2: seconds is 'nan', not a number"),
        (("nan,2,3",), "line 1: seconds is 'nan', not a number"),
        (("0,0,1",), "line 1: prompt tokens is 0, it must be between 1"),
        (("0,1,many",), "line 1: output tokens is 'many', not a number"),
    ],
)
def test_a_wrong_trace_is_refused_with_line_and_column(
    lines: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(InvalidPlanError, match=complaint):
        read(*lines)


def test_a_file_that_is_no_trace_is_named(tmp_path: Path) -> None:
    for name, content in (("missing.csv", None), ("binary.csv", b"\xff\xfe\x00")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidPlanError, match=name):
            read_trace(tmp_path / name)
