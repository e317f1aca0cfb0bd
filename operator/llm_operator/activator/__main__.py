"""`python -m llm_operator.activator`.

Everything else is imported when a signal can end it: that takes a second, and the kernel drops a
SIGTERM for which process 1 has no handler.
"""

import os
import signal
from types import FrameType


def main() -> None:
    """Runs the activator; see `llm_operator.activator.process.run`."""
    signal.signal(signal.SIGTERM, _end)  # until the loop has a handler of its own
    from llm_operator.activator.process import run

    run()


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # nothing runs yet that would have to be tidied up


if __name__ == "__main__":
    main()
