"""The part of an observation that lives in this process: whether clients follow the shares that
they are told, and what the pods' counters say."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from llm_operator.control.traffic import TrafficReports
from llm_operator.kube.store import Key
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.canary import told_shares
from llm_operator.reconcile.endpoints import endpoints
from llm_operator.reconcile.world import World, uid_of
from llm_operator.render import labels
from llm_operator.rollout.clients import Clients, have_accepted
from llm_operator.rollout.drawn import Count, Draw, taken


@dataclass(slots=True, kw_only=True)
class Sharing:
    """Adds to a World what clients do. Counting starts when all of them have accepted a share."""

    caches: Caches
    reports: TrafficReports
    clock: Callable[[], float] = time.monotonic
    _draws: dict[Key, Draw] = field(default_factory=dict)
    _shared: set[Key] = field(default_factory=set)

    @property
    def shared(self) -> frozenset[Key]:
        """LLMDeployments whose calls are shared among revisions."""
        return frozenset(self._shared)

    def observe(self, world: World) -> World:
        """The World with its clients; its loads are known already."""
        if not world.settings.has_xds:
            return world
        key = Key(world.deployment.namespace, world.deployment.name)
        self.reports.follow(endpoints(self.caches.ready_control_planes()))
        clients = Clients(reports=self.reports.of(key))
        shares = told_shares(world.deployment.status)
        if not shares:
            self.leave(key)
            return replace(world, clients=clients)
        self._shared.add(key)
        if not have_accepted(clients.reports, shares):
            self._draws.pop(key, None)
            return replace(world, clients=clients)
        counts, now = tuple(_counts(world)), self.clock()
        draw = self._draws.get(key)
        if draw is None or draw.shares != shares:
            draw = Draw(shares=shares, since=now)
        draw = self._draws[key] = draw.looked_at(counts, now)
        if draw.is_settled(now):
            clients = replace(clients, counted=taken(draw, counts))
        return replace(world, clients=clients)

    def leave(self, key: Key) -> None:
        """The LLMDeployment is gone, or its pods are alike again."""
        self._draws.pop(key, None)
        self._shared.discard(key)

    async def aclose(self) -> None:
        """Another process leads."""
        await self.reports.aclose()
        self._draws.clear()
        self._shared.clear()


def _counts(world: World) -> Iterator[Count]:
    for pod in world.pods:
        uid = uid_of(pod)
        revision = (pod["metadata"].get("labels") or {}).get(labels.REVISION)
        if uid in world.loads and revision is not None:
            yield Count(str(revision), uid, world.loads[uid].received)
