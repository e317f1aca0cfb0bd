"""The operator's metrics, in a registry of their own. Labels come from closed sets only."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llm_operator.kube.request import Request

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """All series of one operator process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Histogram(
            "llm_operator_reconcile_seconds",
            "Duration of reconciles by outcome: changed, unchanged, absent or failed",
            ["outcome"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.requests = Histogram(
            "llm_operator_kube_request_seconds",
            "Duration of API calls by verb, kind and outcome (ok or the class of the error)",
            ["verb", "kind", "outcome"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.writes = Counter(
            "llm_operator_kube_writes_total",
            "API calls that wrote, by verb and kind",
            ["verb", "kind"],
            registry=self.registry,
        )

    def note_request(self, request: Request, outcome: str, seconds: float) -> None:
        """A `Note` of the KubeClient."""
        kind = request.resource.kind if request.resource is not None else "Document"
        self.requests.labels(request.verb, kind, outcome).observe(seconds)
        if request.writes:
            self.writes.labels(request.verb, kind).inc()

    def measure(self, source: Callable[[], Iterable[Metric]]) -> None:
        """Adds values that are read at the moment of a scrape."""
        self.registry.register(Scraped(source))

    def page(self) -> bytes:
        return generate_latest(self.registry)


class Scraped(Collector):
    """Values that `source` reads at the moment of a scrape."""

    def __init__(self, source: Callable[[], Iterable[Metric]]) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        return self._source()


def gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    """One value for `Metrics.measure`."""
    return GaugeMetricFamily(name, help_text, value=value)


def gauge_by(name: str, help_text: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    """One value per label value for `Metrics.measure`."""
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
