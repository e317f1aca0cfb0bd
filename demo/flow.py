"""Keeps requests flowing from inside the cluster and counts them; needs the client alone.

Ends when its standard input closes, or after --seconds, and prints one JSON line:
{"answered": N, "failed": N, "errors": {code: N}, "tokens": N}.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field

from llm_client import Client, LLMError, connect

PROMPTS = (
    "translate to French: forty-two",
    "translate to English: cent trente-sept",
    "write python: a function that adds left and right",
    "What is the capital of Norway?",
)


@dataclass(slots=True)
class Tally:
    """What came back so far."""

    answered: int = 0
    failed: int = 0
    tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """The tally as one JSON line."""
        return json.dumps(
            {
                "answered": self.answered,
                "failed": self.failed,
                "errors": dict(self.errors),
                "tokens": self.tokens,
            }
        )


async def ask(client: Client, number: int, tally: Tally) -> None:
    """Sends one request and streams its answer."""
    try:
        async for chunk in client.stream_chat(PROMPTS[number % len(PROMPTS)], timeout=30):
            tally.tokens += len(chunk.token_ids)
        tally.answered += 1
    except LLMError as error:
        tally.failed += 1
        tally.errors[error.code] += 1


async def worker(
    options: argparse.Namespace, offset: int, stop: asyncio.Event, tally: Tally
) -> None:
    """Asks one question after the other over a channel of its own."""
    async with connect(options.target, namespace=options.namespace) as client:
        number = offset
        while not stop.is_set():
            await ask(client, number, tally)
            number += 1


async def end_of_input() -> None:
    """Returns when the other end closes standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


async def main() -> None:
    """Runs the workers until the input ends and prints the tally."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="HOST:PORT of the Service, or the LLMDeployment's name")
    parser.add_argument("--namespace", help="of the LLMDeployment")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300)
    options = parser.parse_args()
    tally, stop = Tally(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for offset in range(options.workers):
            group.create_task(worker(options, offset, stop, tally))
        try:
            async with asyncio.timeout(options.seconds):
                await end_of_input()
        except TimeoutError:
            tally.failed += 1
            tally.errors["TIME_IS_UP"] += 1
        stop.set()
    print(tally.line(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
