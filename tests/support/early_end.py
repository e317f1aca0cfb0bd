"""Processes that are told to end while they still import what they need."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_BLOCKING = """
import select
import sys
print("importing", flush=True)
while not select.select([sys.stdin], [], [], 0.05)[0]:
    pass  # a signal right before a call that blocks for good would wait for its end
"""


def exit_code_of_an_early_end(arguments: Sequence[str], package: str, folder: Path) -> int:
    """What `python -m ARGUMENTS` ends with when SIGTERM comes while it imports `package`.

    In `folder` lies a package of that name whose import never ends. A process without a handler
    dies of the signal, which is told as -15; as process 1 it would go on.
    """
    (folder / f"{package}.py").write_text(_BLOCKING, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(20)
        finally:
            process.kill()
