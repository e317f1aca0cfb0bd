"""SIGTERM at any moment ends the runtime's processes, also as process 1."""

from pathlib import Path

import pytest

from support.early_end import exit_code_of_an_early_end


@pytest.mark.parametrize("command", ["serve", "fetch", "job"])
def test_sigterm_ends_a_process_that_is_still_importing_and_is_no_success(
    command: str, tmp_path: Path
) -> None:
    arguments = ["llm_runtime", command]
    assert exit_code_of_an_early_end(arguments, "pydantic", tmp_path) == 128 + 15
