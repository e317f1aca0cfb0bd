"""The aggregated discovery service (ADS): one stream per client, or per target of a client."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from llm_operator.rpc import Context
from llm_operator.xds.board import Board
from llm_operator.xds.resources import Name
from llm_operator.xds.subscriptions import TYPES, Answer, Request, Subscriptions, TooManyNamesError

logger = logging.getLogger(__name__)

SLOW_SECONDS = 30.0
"""A client that does not read an answer for so long is sent away."""
REASON_CHARACTERS = 500
"""Of a refusal's reason, which is the client's own text."""


class Meter(Protocol):
    """What is counted."""

    def answered(self, type_url: str) -> None: ...

    def refused(self, type_url: str) -> None: ...


@dataclass(eq=False, slots=True)
class Stream:
    """One client: what it was told, and the bell that rings when there is more to tell."""

    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    names: frozenset[Name] = frozenset()


@dataclass(slots=True)
class Discovery(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]  # untyped
    """Answers clients from the board, and knows what each of them has accepted.

    A stream keeps no queue: a slow client is told what is so when it has read the last answer.
    """

    board: Board
    meter: Meter
    clock: Callable[[], float]
    acknowledged: Callable[[], None] = field(default=lambda: None)
    """Told that a client has replied to an answer."""
    slow_seconds: float = SLOW_SECONDS
    _streams: set[Stream] = field(default_factory=set)

    @property
    def streams(self) -> frozenset[Stream]:
        """Those that are open."""
        return frozenset(self._streams)

    async def StreamAggregatedResources(  # noqa: N802  # gRPC's name
        self, requests: AsyncIterator[discovery_pb2.DiscoveryRequest], context: Context
    ) -> None:
        """Serves one client until it goes."""
        try:
            with self._opened() as stream:
                await self._serve(stream, requests, context)
        except TooManyNamesError as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except TimeoutError:  # the stream is forgotten already: its end may wait for the client
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"An answer was not read within {self.slow_seconds:g} s",
            )

    async def _serve(
        self,
        stream: Stream,
        requests: AsyncIterator[discovery_pb2.DiscoveryRequest],
        context: Context,
    ) -> None:
        reading = asyncio.create_task(self._read(stream, requests))
        reading.add_done_callback(lambda _: stream.news.set())
        try:
            while not reading.done():
                await self._tell(stream, context)
                await stream.news.wait()
            reading.result()
        finally:
            reading.cancel()

    @contextmanager
    def _opened(self) -> Iterator[Stream]:
        stream = Stream()
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            self.board.listen(stream.news, stream.names, ())
            self.acknowledged()

    async def _read(
        self, stream: Stream, requests: AsyncIterator[discovery_pb2.DiscoveryRequest]
    ) -> None:
        async for message in requests:
            is_refusal = stream.subscriptions.take(_request(message))
            if is_refusal:
                self._note_refusal(message)
            self._subscribe(stream, stream.subscriptions.names())
            self.acknowledged()

    def _subscribe(self, stream: Stream, after: frozenset[Name]) -> None:
        """Other names make an answer due. An acknowledgement asks for nothing."""
        if after != stream.names:
            self.board.listen(stream.news, stream.names - after, after - stream.names)
            stream.names = after
            stream.news.set()

    async def _tell(self, stream: Stream, context: Context) -> None:
        """Everything that is due now. What changes meanwhile rings the bell again."""
        stream.news.clear()
        for type_url in TYPES:
            answer = stream.subscriptions.due(type_url, self.board.find, self.clock())
            if answer is not None:
                self.meter.answered(type_url)
                async with asyncio.timeout(self.slow_seconds):
                    await context.write(_response(answer))

    def _note_refusal(self, message: discovery_pb2.DiscoveryRequest) -> None:
        self.meter.refused(message.type_url)
        node = message.node
        logger.warning(
            "A client refused its configuration and goes on with the one before",
            extra={
                "type": message.type_url.rpartition(".")[2],
                "names": sorted(message.resource_names)[:10],
                "reason": message.error_detail.message[:REASON_CHARACTERS],
                "client": f"{node.user_agent_name} {node.user_agent_version}"[:REASON_CHARACTERS],
            },
        )


def _request(message: discovery_pb2.DiscoveryRequest) -> Request:
    error = message.error_detail
    reason = error.message[:REASON_CHARACTERS] or f"code {error.code}"
    return Request(
        type_url=message.type_url,
        names=frozenset(message.resource_names),
        nonce=message.response_nonce,
        error=reason if message.HasField("error_detail") else "",
    )


def _response(answer: Answer) -> Any:
    return discovery_pb2.DiscoveryResponse(
        version_info=answer.version,
        type_url=answer.type_url,
        nonce=answer.nonce,
        resources=[resource.body for resource in answer.resources],
    )
