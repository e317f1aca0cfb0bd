"""Options of the commands that talk to a registry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def plain_http() -> _Decorator:
    """--plain-http, as LLM_REGISTRY_PLAIN_HTTP."""
    return click.option(
        "--plain-http",
        is_flag=True,
        envvar="LLM_REGISTRY_PLAIN_HTTP",
        help="The registry speaks plain HTTP.",
    )


def auth_file() -> _Decorator:
    """--auth-file, as LLM_REGISTRY_AUTH_FILE."""
    return click.option(
        "--auth-file",
        type=click.Path(path_type=Path),
        envvar="LLM_REGISTRY_AUTH_FILE",
        help="A docker config.json with the registry's credentials.",
    )
