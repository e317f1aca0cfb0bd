"""Follows an LLMDeployment and its pods while a benchmark runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from demo.story import Stage
from kubernetes import client, watch

from bench.timeline import PodLife, Sample
from llm_operator.activator.target import ACTIVATOR_LABEL, SERVICE_LABEL

_PLACE = ("llm-operator.dev", "v1alpha1")


class Watcher:
    """Everything seen so far; the lists and lives only grow."""

    def __init__(self, stage: Stage, api: client.ApiClient) -> None:
        self.samples: list[Sample] = []
        self.lives: dict[str, PodLife] = {}
        self.scaled_up: list[float] = []
        """When a Deployment without pods was given some (seconds since the epoch)."""
        self.routable: list[float] = []
        """When the Service got its first ready pod."""
        self._stage = stage
        self._api = api
        self._news = threading.Condition()
        self._is_over = threading.Event()
        self._failure: Exception | None = None

    def wait(self, holds: Callable[[Sample], bool], seconds: float) -> bool:
        """Returns when the latest sample is as wished, or after so many seconds; whether it was.

        Raises what ended a watch.
        """

        def is_over() -> bool:
            return self._failure is not None or bool(self.samples and holds(self.samples[-1]))

        with self._news:
            found = self._news.wait_for(is_over, seconds)
        if self._failure is not None:
            raise self._failure
        return found

    def youngest(self) -> PodLife | None:
        """The pod that was seen last of all for the first time."""
        return max(self.lives.values(), key=lambda life: life.created, default=None)

    @contextmanager
    def watching(self) -> Iterator["Watcher"]:
        """Follows until the block ends."""
        follows = (
            self._follow_wishes,
            self._follow_pods,
            self._follow_deployments,
            self._follow_endpoints,
        )
        for follow in follows:
            threading.Thread(target=self._keep, args=(follow,), daemon=True).start()
        try:
            yield self
        finally:
            self._is_over.set()

    def _keep(self, follow: Callable[[], None]) -> None:
        try:
            follow()
        except Exception as failure:  # whatever it was, whoever waits must learn of it
            with self._news:
                self._failure = failure
                self._news.notify_all()

    def _follow_wishes(self) -> None:
        objects: Any = client.CustomObjectsApi(self._api)
        place = (*_PLACE, self._stage.namespace, "llmdeployments")
        chosen = {"field_selector": f"metadata.name={self._stage.name}"}
        for item in self._events(objects.list_namespaced_custom_object, place, chosen):
            with self._news:
                self.samples.append(Sample.of(item, time.time()))
                self._news.notify_all()

    def _follow_pods(self) -> None:
        core: Any = client.CoreV1Api(self._api)
        label = f"llm-operator.dev/deployment={self._stage.name}"
        chosen = {"label_selector": f"{label},app.kubernetes.io/component=runtime"}
        pods = self._events(core.list_namespaced_pod, (self._stage.namespace,), chosen)
        for item in pods:
            name, now = item.metadata.name, time.time()
            life = self.lives.get(name) or PodLife(name, now)
            self.lives[name] = life.at(item, now)

    def _follow_deployments(self) -> None:
        apps: Any = client.AppsV1Api(self._api)
        label = f"llm-operator.dev/deployment={self._stage.name}"
        self._note_rises(
            apps.list_namespaced_deployment, label, lambda item: item.spec.replicas, self.scaled_up
        )

    def _follow_endpoints(self) -> None:
        """Those of Kubernetes' own slices: the activator's are left out."""
        slices: Any = client.DiscoveryV1Api(self._api)
        label = f"{SERVICE_LABEL}={self._stage.name},{ACTIVATOR_LABEL}!=true"
        self._note_rises(
            slices.list_namespaced_endpoint_slice,
            label,
            lambda item: any(each.conditions.ready for each in item.endpoints or []),
            self.routable,
        )

    def _note_rises(
        self, listing: Any, label: str, holds: Callable[[Any], Any], times: list[float]
    ) -> None:
        """Adds when something begins to hold of an object."""
        before: dict[str, bool] = {}
        place, chosen = (self._stage.namespace,), {"label_selector": label}
        for item in self._events(listing, place, chosen):
            now = bool(holds(item))
            if now and not before.get(item.metadata.name):
                times.append(time.time())
            before[item.metadata.name] = now

    def _events(
        self, listing: Any, place: tuple[str, ...], chosen: dict[str, str]
    ) -> Iterator[Any]:
        """Added and changed objects; a watch that the server ends is begun again."""
        while not self._is_over.is_set():
            for event in watch.Watch().stream(listing, *place, timeout_seconds=60, **chosen):
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]
                if self._is_over.is_set():
                    return
