"""The client of `bench.activator`: `python -m bench.activator_client`.

Reads one JSON array a line, [measurement, port, arguments …], and prints what it measured; ends
with its standard input.
"""

import asyncio
import json
import sys
import time
from statistics import median
from typing import Any

import grpc.aio

from bench.activator_parts import HOST, MESSAGE_BYTES, STREAM, UNARY, sent_at, stream_request

ANSWER_MESSAGES = 256
"""Of each stream under full load: a long answer."""
LATE_SECONDS = 20.0


async def unary(channel: Any, calls: int) -> float:
    """Median seconds of a call, one after the other."""
    call, took = channel.unary_unary(UNARY), []
    for _ in range(calls):
        began = time.perf_counter()
        await call(bytes(MESSAGE_BYTES), timeout=LATE_SECONDS)
        took.append(time.perf_counter() - began)
    return median(took[calls // 10 :])


async def message(channel: Any, messages: int) -> float:
    """Median seconds from the pod's sending of a streamed message to its arrival, at leisure."""
    call = channel.unary_stream(STREAM)(stream_request(messages, 0.002), timeout=LATE_SECONDS)
    took = [time.monotonic() - sent_at(each) async for each in call]
    return median(took[messages // 10 :])


async def pour(channel: Any, streams: int, seconds: float) -> float:
    """Messages that arrive per second while so many streams pour."""
    arrived, until = 0, time.perf_counter() + seconds
    call, request = channel.unary_stream(STREAM), stream_request(ANSWER_MESSAGES, 0)

    async def drink() -> None:
        nonlocal arrived
        while time.perf_counter() < until:
            async for _ in call(request, timeout=LATE_SECONDS):
                arrived += 1

    began = time.perf_counter()
    await asyncio.gather(*(drink() for _ in range(streams)))
    return arrived / (time.perf_counter() - began)


async def _main() -> None:
    channels: dict[int, Any] = {}
    measurements: dict[str, Any] = {"unary": unary, "message": message, "pour": pour}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, port, *arguments = json.loads(line)
        if port not in channels:
            channels[port] = grpc.aio.insecure_channel(f"{HOST}:{port}")
        print(await measurements[name](channels[port], *arguments), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
