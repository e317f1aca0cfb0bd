"""`llm-runtime chat` refuses what it cannot wait for."""

import pytest
from click.testing import CliRunner

from llm_runtime.commands.chat import command


@pytest.mark.parametrize("timeout", ["nan", "inf", "0", "-1", "86401"])
def test_a_timeout_that_is_none_is_refused_with_the_limits(timeout: str) -> None:
    result = CliRunner().invoke(command, ["demo", "--prompt", "hi", "--timeout", timeout])
    assert result.exit_code == 2
    assert "is not between 0 and 86400 seconds" in result.output
