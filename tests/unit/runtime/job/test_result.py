"""The termination message: always JSON, never longer than the kubelet keeps, never a secret."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.errors import ModelError, Reason
from llm_runtime.job.result import failure_message, run_step, success_message


@given(st.text(max_size=9000), st.sampled_from(Reason))
def test_a_failure_fits_into_4096_bytes_whatever_its_message(text: str, reason: Reason) -> None:
    content = failure_message("fetch", ModelError(reason, text))
    assert len(content) <= 4096
    document = json.loads(content)
    assert document["reason"] == reason
    readable = text.encode(errors="replace").decode()
    assert readable.startswith(document["message"].removesuffix("…"))


def test_a_long_message_is_cut_late() -> None:
    content = failure_message("fetch", ModelError(Reason.NO_SPACE, "é" * 5000))
    assert 4090 <= len(content) <= 4096


def test_a_success_carries_its_facts() -> None:
    document = json.loads(success_message("push", {"digest": "sha256:x", "existed": False}))
    assert document == {"step": "push", "ok": True, "digest": "sha256:x", "existed": False}


def test_a_failure_is_recorded_in_the_file_that_is_there(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.write_text("x" * 5000)
    inode = log.stat().st_ino

    def fail() -> dict[str, object]:
        raise ModelError(Reason.AUTH_FAILED, "no; log in")

    assert run_step("fetch", log, fail) is None
    assert json.loads(log.read_bytes())["reason"] == "AuthFailed"
    assert log.stat().st_ino == inode


def test_an_unforeseen_error_keeps_its_text_out_of_the_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> dict[str, object]:
        raise KeyError("hf_secrettoken")

    with caplog.at_level(logging.ERROR):
        run_step("export", tmp_path / "log", fail)
    document = json.loads((tmp_path / "log").read_bytes())
    assert (document["reason"], document["retryable"]) == ("ExportFailed", False)
    assert "KeyError" in document["message"]
    assert "hf_secrettoken" not in document["message"]
    assert "failed unexpectedly" in caplog.text


@pytest.mark.parametrize("reason", Reason)
def test_only_what_time_can_heal_is_retried(reason: Reason) -> None:
    healing = {"SourceUnreachable", "RegistryUnavailable", "DownloadFailed", "NoSpace"}
    assert ModelError(reason, "").retryable is (reason in healing)
