"""The `llm-operator` command.

Everything else is imported when a signal can end it: that takes more than a second, and the kernel
drops a SIGTERM for which process 1 has no handler.
"""

import os
import signal
from types import FrameType


def main() -> None:
    """Runs the operator; see `llm_operator.process.run`."""
    signal.signal(signal.SIGTERM, _end)  # until kopf has handlers of its own
    from llm_operator.process import run

    run()


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # nothing runs yet that would have to be tidied up


if __name__ == "__main__":
    main()
