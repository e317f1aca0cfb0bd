"""The control plane's metrics, in a registry of their own. Labels come from closed sets only."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import Metric

from llm_operator.telemetry.metrics import Scraped, gauge
from llm_operator.xds.board import Board
from llm_operator.xds.discovery import Discovery
from llm_operator.xds.subscriptions import TYPES

LAGGARD_SECONDS = 2.0
"""A client that has not replied to an answer for so long."""


class Metrics:
    """All series of one control plane process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        answers = Counter(
            "llm_xds_answers",
            "Answers to clients, by type of resource",
            ["type"],
            registry=self._registry,
        )
        refusals = Counter(
            "llm_xds_refusals",
            "Answers that a client refused (NACK), by type of resource",
            ["type"],
            registry=self._registry,
        )
        self._answers = {url: answers.labels(_type(url)) for url in TYPES}
        self._refusals = {url: refusals.labels(_type(url)) for url in TYPES}

    def answered(self, type_url: str) -> None:
        """A client was told something."""
        self._answers[type_url].inc()

    def refused(self, type_url: str) -> None:
        """A client takes something not."""
        self._refusals[type_url].inc()

    def measure(self, board: Board, discovery: Discovery) -> None:
        """Adds what is read off both at the moment of a scrape."""
        self._registry.register(Scraped(lambda: _gauges(board, discovery)))

    def page(self) -> bytes:
        return generate_latest(self._registry)


def _type(url: str) -> str:
    return url.rpartition(".")[2]


def _gauges(board: Board, discovery: Discovery) -> Iterator[Metric]:
    since = [stream.subscriptions.silent_since() for stream in discovery.streams]
    oldest = discovery.clock() - LAGGARD_SECONDS
    late = sum(at is not None and at < oldest for at in since)
    refusing = sum(bool(s.subscriptions.refusals()) for s in discovery.streams)
    yield gauge("llm_xds_streams", "Streams of clients", len(since))
    yield gauge("llm_xds_laggards", "Streams without a reply for two seconds", late)
    yield gauge("llm_xds_refusing_streams", "Streams whose last answer was refused", refusing)
    yield gauge("llm_xds_llmdeployments", "LLMDeployments known", len(board))
