"""Tells users what happened: events.k8s.io/v1 Events about an LLMDeployment, repeats as one series.

Events are news, not state: one that cannot be written is logged and forgotten, and never fails a
run.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from llm_operator.kube import request as requests
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import KubeError, NotFoundError
from llm_operator.kube.resources import EVENT

logger = logging.getLogger(__name__)

CONTROLLER = "llm-operator.dev/operator"
SERIES_WINDOW = timedelta(minutes=6)
"""A repeat within this time joins the series; as client-go's recorder."""
REMEMBERED = 1000
"""Series kept in memory, the longest unused go first."""
NOTE_LIMIT = 1024
"""Characters that the API server accepts of a note."""


class News(NamedTuple):
    """What is told: `type` is Normal or Warning."""

    type: str
    reason: str
    note: str
    action: str


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    last: datetime


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class EventRecorder:
    """Writes Events as `instance` (the operator's pod)."""

    client: KubeClient
    instance: str
    clock: Callable[[], datetime] = now
    _recent: OrderedDict[tuple[str, News], _Series] = field(default_factory=OrderedDict)

    async def tell(self, regarding: Mapping[str, Any], news: News) -> None:
        """Writes or repeats the Event about an object (its raw JSON)."""
        try:
            await self._tell(regarding, news)
        except KubeError as error:
            logger.warning(
                "Event could not be written", extra={"reason": news.reason, "error": str(error)}
            )

    async def _tell(self, regarding: Mapping[str, Any], news: News) -> None:
        metadata, at = regarding["metadata"], self.clock()
        identity = (str(metadata["uid"]), news)
        series = self._recent.get(identity)
        if series is None or at - series.last > SERIES_WINDOW:
            await self._begin(identity, regarding, at)
            return
        try:
            await self._repeat(series, metadata["namespace"], at)
        except NotFoundError:  # Events live for an hour
            await self._begin(identity, regarding, at)

    async def _begin(
        self, identity: tuple[str, News], regarding: Mapping[str, Any], at: datetime
    ) -> None:
        manifest = self._manifest(identity[1], regarding, at)
        await self.client.send(requests.create(manifest))
        self._recent[identity] = _Series(manifest["metadata"]["name"], 1, at)
        self._recent.move_to_end(identity)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    async def _repeat(self, series: _Series, namespace: str, at: datetime) -> None:
        body = {"series": {"count": series.count + 1, "lastObservedTime": _micro_time(at)}}
        await self.client.send(requests.merge(EVENT, namespace, series.name, body))
        series.count, series.last = series.count + 1, at

    def _manifest(self, news: News, regarding: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        metadata = regarding["metadata"]
        distinct = "\0".join((str(metadata["uid"]), *news, _micro_time(at)))
        suffix = hashlib.sha256(distinct.encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {
                "name": f"{metadata['name']}.{suffix}",
                "namespace": metadata["namespace"],
            },
            "type": news.type,
            "reason": news.reason,
            "note": news.note[:NOTE_LIMIT],
            "action": news.action,
            "eventTime": _micro_time(at),
            "reportingController": CONTROLLER,
            "reportingInstance": self.instance[:128],
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
        }


def _micro_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
