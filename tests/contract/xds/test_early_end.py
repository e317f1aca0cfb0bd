"""SIGTERM at any moment ends the control plane's process, also as process 1."""

from pathlib import Path

from support.early_end import exit_code_of_an_early_end


def test_sigterm_ends_a_control_plane_that_is_still_importing(tmp_path: Path) -> None:
    assert exit_code_of_an_early_end(["llm_operator.xds"], "pydantic", tmp_path) == 0
