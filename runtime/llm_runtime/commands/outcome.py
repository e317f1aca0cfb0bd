"""How a command ends: its result in the termination log, its exit code, a line for people."""

import logging
import os
import sys
from collections.abc import Callable

from llm_runtime.job.result import Facts, run_step
from llm_runtime.job.settings import optional_path


def finish(step: str, work: Callable[[], Facts], line: Callable[[Facts], str]) -> None:
    """Does the work; prints ``line`` on success, ends the process with 1 after a failure."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    facts = run_step(step, optional_path(os.environ, "LLM_TERMINATION_LOG"), work)
    if facts is None:
        sys.exit(1)
    sys.stdout.write(line(facts) + "\n")
