import json
import logging
import sys

from llm_runtime.telemetry.logs import JsonLines


def line(message: str, *args: object, **extra: object) -> dict[str, object]:
    record = logging.makeLogRecord(
        {"name": "x", "levelname": "INFO", "msg": message, "args": args} | extra
    )
    text = JsonLines().format(record)
    assert "\n" not in text
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


def test_a_record_is_one_object_with_its_fields() -> None:
    document = line("Opened the %s port", "data", port=50051)
    assert document["message"] == "Opened the data port"
    assert (document["level"], document["port"]) == ("info", 50051)


def test_control_characters_cannot_break_a_line() -> None:
    assert line("a\nb", field="c\r\n\x1b[0m")["field"] == "c\r\n\x1b[0m"


def test_long_fields_are_cut() -> None:
    document = line("x" * 1000, field="y" * 1000)
    assert (len(str(document["message"])), len(str(document["field"]))) == (256, 256)


def test_a_traceback_is_kept() -> None:
    try:
        raise KeyError("lost")
    except KeyError:
        document = line("Failed", exc_info=sys.exc_info())
    assert "KeyError" in str(document["traceback"])


def test_every_line_says_who_wrote_it() -> None:
    who = {"deployment": "demo", "namespace": "", "revision": "0badcafe"}
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "Ready"})
    document = json.loads(JsonLines(who).format(record))
    assert (document["deployment"], document["revision"]) == ("demo", "0badcafe")
    assert "namespace" not in document
