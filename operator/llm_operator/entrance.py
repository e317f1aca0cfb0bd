"""How every process of this package starts: a signal can end it from the first moment on.

Everything else is imported after that: it takes more than a second, and the kernel drops a SIGTERM
for which process 1 has no handler.
"""

import importlib
import os
import signal
from types import FrameType


def enter(module: str) -> None:
    """Calls `run()` of a module, which is imported only then."""
    signal.signal(signal.SIGTERM, _end)  # until what runs has a handler of its own
    importlib.import_module(module).run()


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # nothing runs yet that would have to be tidied up
