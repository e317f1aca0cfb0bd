"""`Traffic.WatchTraffic`: what clients have accepted, pushed to the leader."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.kube.store import Key
from llm_operator.xds.board import Board
from llm_operator.xds.discovery import Discovery, Stream
from llm_operator.xds.resources import key_of

SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 5.0


@dataclass(slots=True)
class TrafficNews(control_pb2_grpc.TrafficServicer):
    """`changed` is to be called whenever the board or what clients have accepted changes."""

    board: Board
    discovery: Discovery
    _bells: list[asyncio.Event] = field(default_factory=list)

    def changed(self) -> None:
        for bell in self._bells:
            bell.set()

    async def WatchTraffic(  # noqa: N802  # gRPC's name
        self, request: control_pb2.WatchTrafficRequest, context: Any
    ) -> AsyncIterator[control_pb2.WatchTrafficResponse]:
        """Everything at once, and again whenever it changes."""
        del request, context
        bell = asyncio.Event()
        self._bells.append(bell)
        try:
            while True:
                bell.clear()
                yield message(self.board, self.discovery.streams)
                await asyncio.sleep(SHORTEST_SECONDS)
                await _within(LONGEST_SECONDS - SHORTEST_SECONDS, bell)
        finally:
            self._bells.remove(bell)


def message(board: Board, streams: Iterable[Stream]) -> control_pb2.WatchTrafficResponse:
    """What goes over the wire."""
    open_streams = tuple(streams)
    refusals = _refusals(open_streams)
    keys = sorted({*board.with_shares(), *refusals})
    return control_pb2.WatchTrafficResponse(
        traffic=[_traffic(board, key, open_streams, refusals.get(key, ())) for key in keys]
    )


def _traffic(
    board: Board, key: Key, streams: Iterable[Stream], refusals: Sequence[str]
) -> control_pb2.ClientTraffic:
    route, version = board.route(key)
    mine = [stream for stream in streams if route in stream.names]
    return control_pb2.ClientTraffic(
        namespace=key.namespace,
        name=key.name,
        shares=[
            control_pb2.RevisionShare(revision=share.revision, percent=share.percent)
            for share in board.shares(key)
        ],
        streams=len(mine),
        acknowledged=sum(stream.subscriptions.has_accepted(route, version) for stream in mine),
        refused=len(refusals),
        refusal=next(iter(refusals), ""),
    )


def _refusals(streams: Iterable[Stream]) -> Mapping[Key, Sequence[str]]:
    """By LLMDeployment: a reason of each stream that has refused an answer about it."""
    found: dict[Key, list[str]] = {}
    for stream in streams:
        if refused := stream.subscriptions.refusals():
            for key in {key_of(name) for name in stream.names if name.type_url in refused}:
                found.setdefault(key, []).append(next(iter(refused.values())))
    return found


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
