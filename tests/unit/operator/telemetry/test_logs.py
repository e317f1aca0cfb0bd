"""Logs: one JSON object per line, whatever anybody wrote into an object."""

import io
import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.telemetry.logs import TEXT_LIMIT, JsonLines


def line_of(message: str, **extra: object) -> str:
    logger = logging.Logger("test")  # one of its own, with no global state
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.warning("%s", message, extra=extra)
    return stream.getvalue()


@given(message=st.text(), value=st.text())
def test_a_record_is_one_line_of_json_whatever_is_in_it(message: str, value: str) -> None:
    written = line_of(message, object=value)
    assert written.count("\n") == 1
    assert written.isascii()
    loaded = json.loads(written)
    assert loaded["level"] == "WARNING"
    assert loaded["object"] == value[:TEXT_LIMIT]


def test_values_of_extra_are_fields() -> None:
    loaded = json.loads(line_of("Created", kind="Service", count=3, share=0.5))
    assert (loaded["kind"], loaded["count"], loaded["share"]) == ("Service", 3, 0.5)


def test_nothing_named_like_a_secret_is_written() -> None:
    written = line_of("Read", control_token="abc", Authorization="Bearer abc", password="abc")
    assert "abc" not in written


def test_a_field_cannot_pose_as_another() -> None:
    assert json.loads(line_of("Created", level="DEBUG", time="x"))["level"] == "WARNING"


def test_a_long_text_is_cut() -> None:
    assert len(line_of("x" * 100_000)) < TEXT_LIMIT + 300


def test_an_exception_is_part_of_its_line() -> None:
    logger, stream = logging.Logger("test"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("Failed")
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert "ValueError: two\nlines" in json.loads(written)["exception"]
