"""kubectl and helm as a user calls them: thin subprocess calls that return text or parsed JSON."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class CommandError(Exception):
    """A command ended with an error; the text is what it printed."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs the command-line tools against one cluster.

    environment: the variables that choose the cluster (KUBECONFIG, PATH).
    """

    environment: Mapping[str, str]

    def run(self, *argv: str, stdin: str | None = None, timeout: float = 180) -> str:
        """Runs `argv` and returns its standard output; raises CommandError with both streams."""
        done = subprocess.run(
            argv,
            input=stdin,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise CommandError(
                f"{' '.join(argv[:6])}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 180) -> str:
        """Runs kubectl with `arguments`."""
        return self.run("kubectl", *arguments, stdin=stdin, timeout=timeout)

    def get(self, *arguments: str) -> Any:
        """The parsed JSON of `kubectl get ARGUMENTS -o json`."""
        return json.loads(self("get", *arguments, "-o", "json"))

    def apply(self, manifest: str, *arguments: str) -> str:
        """Applies a YAML text."""
        return self("apply", "-f", "-", *arguments, stdin=manifest)

    @contextmanager
    def follow(self, *arguments: str) -> Iterator["queue.Queue[str]"]:
        """The lines of a kubectl command that goes on until the block ends (`get -w`)."""
        process = self.start(*arguments)
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_read_lines, args=(process, lines), daemon=True)
        reader.start()
        try:
            yield lines
        finally:
            process.terminate()
            reader.join(10)
            process.communicate(timeout=10)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a kubectl command with pipes at both ends."""
        return subprocess.Popen(
            ["kubectl", *arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def _read_lines(process: subprocess.Popen[str], lines: "queue.Queue[str]") -> None:
    for line in process.stdout or ():
        lines.put(line.rstrip("\n"))
