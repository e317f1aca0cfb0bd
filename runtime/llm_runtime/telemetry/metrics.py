"""What a pod counts, for Prometheus.

Every series exists with 0 from the start; label values come from closed sets.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llm_runtime.engine.batch import Load
from llm_runtime.engine.observer import StepReport
from llm_runtime.engine.request import Ending

REJECTION_REASONS = ("queue_full", "queued_tokens")
FINISH_REASONS = ("stop", "length", "aborted")
FAILURE_REASONS = tuple(str(ending) for ending in Ending if not ending.is_answer)

# vLLM's buckets, so that dashboards can be carried over.
_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_TOKEN = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
    *(0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
_REQUEST = (
    *(0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    *(60.0, 120.0, 240.0, 480.0, 960.0),
)
_TOKENS = tuple(float(mantissa * 10**power) for power in range(5) for mantissa in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is read at the moment of a scrape.

    Attributes:
        received: requests that were taken in since the start.
        is_ready: the pod wants new requests.
        is_draining: it was asked to drain; true until that is taken back.
    """

    load: Load
    received: int
    capacity_tokens: int
    slots: int
    is_ready: bool
    is_draining: bool


class Metrics:
    """All counters and histograms of one process, in a registry of their own.

    Observes the engine.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._prompt_tokens = self._counter("llm_prompt_tokens", "Prompt tokens computed")
        self._generated = self._counter("llm_generation_tokens", "Tokens generated")
        self._first_token = self._histogram(
            "llm_time_to_first_token_seconds", "From submission to the first token", _FIRST_TOKEN
        )
        self._next_token = self._histogram(
            "llm_inter_token_latency_seconds", "Between two tokens of an answer", _TOKEN
        )
        self._step = self._histogram("llm_step_seconds", "One step of the engine", _TOKEN)
        self._request = self._histogram(
            "llm_request_seconds", "From the call to its last message", _REQUEST
        )
        self._prompt = self._histogram(
            "llm_request_prompt_tokens", "Tokens of a request's prompt", _TOKENS
        )
        self._output = self._histogram(
            "llm_request_generation_tokens", "Tokens generated for a request", _TOKENS
        )
        self._success = self._labelled(
            "llm_request_success", "Requests answered", "finish_reason", FINISH_REASONS
        )
        self._failure = self._labelled(
            "llm_request_failure", "Requests that ended early", "reason", FAILURE_REASONS
        )
        self._rejections = self._labelled(
            "llm_admission_rejections", "Requests refused at once", "reason", REJECTION_REASONS
        )

    def watch(self, read: Callable[[], Snapshot]) -> None:
        """Adds what is read at every scrape."""
        self.registry.register(_Gauges(read))

    def step(self, report: StepReport) -> None:
        """Counts a step and its tokens."""
        self._step.observe(report.seconds)
        self._prompt_tokens.inc(report.prompt_tokens)
        self._generated.inc(report.generated_tokens)

    def first_token(self, seconds: float) -> None:
        """Counts a request's first token."""
        self._first_token.observe(seconds)

    def next_token(self, seconds: float) -> None:
        """Counts a request's later token."""
        self._next_token.observe(seconds)

    def ended(self, prompt_tokens: int, output_tokens: int) -> None:
        """Counts the sizes of a request that got at least one token."""
        self._prompt.observe(prompt_tokens)
        self._output.observe(output_tokens)

    def answered(self, finish_reason: str, seconds: float) -> None:
        """Counts a request that got its whole answer."""
        self._success.labels(finish_reason).inc()
        self._request.observe(seconds)

    def failed(self, why: Ending) -> None:
        """Counts a request that ended early."""
        self._failure.labels(str(why)).inc()

    def rejected(self, reason: str) -> None:
        """Counts a request that was not admitted."""
        self._rejections.labels(reason).inc()

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, registry=self.registry, buckets=buckets)

    def _labelled(self, name: str, text: str, label: str, values: Iterable[str]) -> Counter:
        counter = Counter(name, text, [label], registry=self.registry)
        for value in values:
            counter.labels(value)
        return counter


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        now = self._read()
        for name, text, value in (
            ("llm_requests_running", "Requests that hold a slot", now.load.running),
            ("llm_requests_waiting", "Requests that wait for a slot", now.load.waiting),
            ("llm_kv_tokens", "Tokens in the caches of running requests", now.load.tokens_held),
            ("llm_kv_capacity_tokens", "Tokens that the caches can hold", now.capacity_tokens),
            ("llm_prompt_tokens_queued", "Prompt tokens that wait", now.load.tokens_queued),
            ("llm_slots", "Requests that can run at the same time", now.slots),
            ("llm_ready", "1 while the pod wants new requests", int(now.is_ready)),
            ("llm_draining", "1 from a drain until it is taken back", int(now.is_draining)),
        ):
            yield GaugeMetricFamily(name, text, value)
        yield CounterMetricFamily("llm_requests_received", "Requests taken in", now.received)
