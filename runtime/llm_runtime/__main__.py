"""The `llm-runtime` command.

Subcommands are imported when they are used, so that serving never loads the exporter.
"""

# ruff: noqa: ARG002 - click names the arguments

import gc
import importlib
import os
import signal
from types import FrameType

import click

# gRPC's C core writes lines of its own to standard error, among JSON logs and into conversations.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# A second series for each counter, with its time of birth, is of no use to anybody here.
os.environ.setdefault("PROMETHEUS_DISABLE_CREATED_SERIES", "true")
# What follows is time until a pod is ready: no search for plugins, no threads for products of
# matrices, which only the session computes.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ENDED = 128 + signal.SIGTERM
"""Exit code of a process that was told to end before it had anything to finish."""

_COMMANDS = {
    "serve": "Serve an artifact over gRPC.",
    "chat": "Talk to a served model.",
    "export": "Export a checkpoint to an artifact.",
    "fetch": "Fetch a checkpoint or an artifact.",
    "verify": "Check an artifact.",
    "push": "Push an artifact to a registry.",
    "job": "Run a step of the export Job.",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        gc.disable()  # nothing of an import becomes garbage: do not look for any
        try:
            module = importlib.import_module(f"llm_runtime.commands.{cmd_name}")
        finally:
            gc.freeze()
            gc.enable()
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy)
@click.version_option(package_name="llm-runtime")
def commands() -> None:
    """Exports Transformers to ONNX and serves them over gRPC with continuous batching."""


def main() -> None:
    """Runs a subcommand.

    The kernel drops a SIGTERM for which process 1 has no handler; the server brings its own.
    """
    signal.signal(signal.SIGTERM, _end)
    commands(prog_name="llm-runtime")


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(ENDED)


if __name__ == "__main__":
    main()
