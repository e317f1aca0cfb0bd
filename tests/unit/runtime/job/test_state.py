"""state.json is the old one or the new one, never half of one."""

from pathlib import Path

import pytest

from llm_runtime.errors import ModelError
from llm_runtime.job.state import JobState, load_state, save_state
from llm_runtime.job.steps import facts_of

STATE = JobState(uri="hf://a/b@c", resolved_revision="c", key="k", precision="fp32")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_state(tmp_path, STATE)
    assert load_state(tmp_path) == STATE
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{", '{"hooks": 1}'])
def test_a_broken_state_says_what_to_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(ModelError, match="run the step `fetch` first"):
        load_state(tmp_path)


def test_no_state_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run the step `fetch` first"):
        load_state(tmp_path)


def test_unknown_facts_are_left_out_of_the_message() -> None:
    assert facts_of(STATE) == {
        "resolvedRevision": "c",
        "key": "k",
        "precision": "fp32",
        "existed": False,
    }
