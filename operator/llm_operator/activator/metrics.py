"""The activator's metrics, in a registry of their own. Labels come from closed sets only."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric

from llm_operator.activator.board import Board
from llm_operator.telemetry.metrics import Scraped, gauge

RESULTS = ("passed_on", "refused", "timed_out", "ended", "cancelled")
HOLD_BUCKETS = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Metrics:
    """All series of one activator process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        calls = Counter(
            "llm_activator_calls",
            "Calls that are over: a pod's answer passed_on, refused for want of room, timed_out"
            " while held, ended with this process or its LLMDeployment, cancelled by the client",
            ["result"],
            registry=self._registry,
        )
        self._calls = {result: calls.labels(result) for result in RESULTS}
        self._held = Histogram(
            "llm_activator_held_seconds",
            "How long calls were held",
            buckets=HOLD_BUCKETS,
            registry=self._registry,
        )

    def finished(self, result: str) -> None:
        """A call is over."""
        self._calls[result].inc()

    def was_held(self, seconds: float) -> None:
        """A call was held for so long."""
        self._held.observe(seconds)

    def measure(self, board: Board) -> None:
        """Adds what is read off the board at the moment of a scrape."""
        self._registry.register(Scraped(lambda: _gauges(board)))

    def page(self) -> bytes:
        return generate_latest(self._registry)


def _gauges(board: Board) -> Iterator[Metric]:
    held = list(board.holdings())
    yield gauge("llm_activator_held_calls", "Calls that wait", sum(each.calls for each in held))
    yield gauge("llm_activator_held_bytes", "Bytes of these", sum(each.bytes for each in held))
    yield gauge(
        "llm_activator_forwarded_calls",
        "Calls that pods answer",
        sum(each.forwarding for each in held),
    )
    yield gauge("llm_activator_ports", "Ports that are open", board.ports)
