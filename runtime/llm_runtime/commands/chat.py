"""`llm-runtime chat`: talk to a served model in the terminal, or ask one question in a script."""

import asyncio
import sys
from dataclasses import dataclass

import click
from rich.console import Console

from llm_client import Client, Finish, FinishReason, LLMError, Message, Options, connect

_LONGEST_SECONDS = 86_400.0
_PATIENCE_SECONDS = 2.0
"""After so long without a word somebody may wonder whether anything happens."""


@dataclass(frozen=True, slots=True)
class _Talk:
    target: str
    system: str | None
    options: Options
    timeout: float

    def opening(self) -> list[Message]:
        """What every conversation begins with."""
        return [Message("system", self.system)] if self.system else []


def _positive(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if not 0 < value <= _LONGEST_SECONDS:  # click's own range lets NaN in
        raise click.BadParameter(f"{value:g} is not between 0 and {_LONGEST_SECONDS:g} seconds")
    return value


@click.command(name="chat")
@click.argument("target")
@click.option("--prompt", help="Ask this, print the answer and end.")
@click.option("--system", help="Tell the model how to behave.")
@click.option("--model", default="", help="Served name; unset takes the only one there is.")
@click.option("--seed", type=click.IntRange(min=0), help="The same seed gives the same answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 is greedy.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), help="Longest answer in tokens.")
@click.option(
    "--timeout",
    type=float,
    callback=_positive,
    default=300.0,
    show_default=True,
    help="Seconds per answer.",
)
def command(
    target: str, prompt: str | None, system: str | None, timeout: float, **options: object
) -> None:
    """Talk to the model served at TARGET: HOST:PORT, or an LLMDeployment of the pod's namespace."""
    talk = _Talk(target, system, Options(**options), timeout)  # type: ignore[arg-type]
    try:
        asyncio.run(_ask_once(talk, prompt) if prompt is not None else _converse(talk))
    except LLMError as error:
        raise click.ClickException(f"{error.message} ({error.code})") from error


async def _ask_once(talk: _Talk, prompt: str) -> None:
    async with connect(talk.target, timeout=talk.timeout) as client:
        await _stream(client, talk, [*talk.opening(), Message("user", prompt)])
    click.echo()


async def _converse(talk: _Talk) -> None:
    """Keeps the conversation until the input ends; /new begins another one."""
    console = Console(stderr=not sys.stdout.isatty())
    async with connect(talk.target, timeout=talk.timeout) as client:
        info = await client.model_info()
        console.print(
            f"[bold]{info.model}[/bold] ({info.family}, {info.max_context_length} tokens)"
        )
        console.print("[dim]/new starts over, Ctrl-D ends[/dim]")
        turns = talk.opening()
        while (line := await _read(console)) is not None:
            turns = talk.opening() if line == "/new" else await _turn(client, talk, turns, line)


async def _turn(client: Client, talk: _Talk, turns: list[Message], line: str) -> list[Message]:
    """One question and its answer; an error is shown and the question forgotten."""
    if not line.strip():
        return turns
    asked = [*turns, Message("user", line)]
    try:
        answer = await _stream(client, talk, asked)
    except LLMError as error:
        click.secho(f"{error.message} ({error.code})", fg="red", err=True)
        return turns
    click.echo()
    return [*asked, Message("assistant", answer)]


async def _stream(client: Client, talk: _Talk, turns: list[Message]) -> str:
    """Prints the answer as it grows and returns it."""
    pieces = []
    note = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, _say_that_it_waits, talk)
    try:
        async for chunk in client.stream_chat(turns, talk.options):
            note.cancel()
            click.echo(chunk.text, nl=False)
            pieces.append(chunk.text)
            if chunk.finish:
                _explain(chunk.finish)
    finally:
        note.cancel()
    return "".join(pieces)


def _say_that_it_waits(talk: _Talk) -> None:
    """A pod may be starting, or nobody may listen there: the caller knows which is likely."""
    click.secho(f"[waiting for {talk.target}, {talk.timeout:g} s at most]", dim=True, err=True)


def _explain(finish: Finish) -> None:
    """Says when an answer is not whole."""
    if finish.reason is FinishReason.ABORTED:
        click.secho(" [the server is going away]", fg="yellow", err=True, nl=False)
    elif finish.reason is FinishReason.LENGTH:
        click.secho(" [length reached]", fg="yellow", err=True, nl=False)


async def _read(console: Console) -> str | None:
    """A line of the user, None at the end of the input."""
    try:
        return await asyncio.to_thread(console.input, "[bold cyan]> [/bold cyan]")
    except EOFError:
        return None
