"""Everything that runs in one operator process, started and stopped as one.

Watches run on every replica, so that the one that takes over starts with warm caches. Workers run
under the Lease alone. When any part ends that should not, all of it ends and the process exits:
a restart is safe by design, a half-alive operator is not.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from llm_operator.control.authority import Authority
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import KubeError, WatchFailedError
from llm_operator.kube.lease import Lease
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import LLM_DEPLOYMENT
from llm_operator.kube.store import Key
from llm_operator.kube.watch import Watch
from llm_operator.reconcile.queue import KeyedQueue, resync
from llm_operator.reconcile.reconcile import Outcome, Reconciler, Run
from llm_operator.reconcile.roster import Roster
from llm_operator.reconcile.scaling import Scaling
from llm_operator.reconcile.sharing import Sharing

logger = logging.getLogger(__name__)

STUCK_SECONDS = 180.0
"""A watch takes some step at least this often: its silence, pause and deadline limits together."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """`workers` reconciles at a time; everything again each `resync_seconds`."""

    workers: int = 8
    resync_seconds: float = 300.0


@dataclass(slots=True, kw_only=True)
class Loop:
    """The running parts. `namespaces` holds None for all of them."""

    client: KubeClient
    namespaces: tuple[str | None, ...]
    watches: tuple[Watch, ...]
    lease: Lease
    queue: KeyedQueue[Key]
    roster: Roster
    reconciler: Reconciler
    scaling: Scaling
    sharing: Sharing
    authority: Authority
    schedule: Schedule = field(default_factory=Schedule)
    measured: Callable[[Outcome, float], None] = lambda _outcome, _seconds: None

    async def run(self) -> None:
        """Runs until cancelled; raises what ended it otherwise."""
        async with asyncio.TaskGroup() as group:
            for watch in self.watches:
                group.create_task(watch.run(), name=f"watch {watch.what.resource.plural}")
            group.create_task(self._resync(), name="resync")
            group.create_task(self.lease.lead(self._work), name="leadership")

    async def _work(self) -> None:
        """A leader's work: reconciles from the moment that the caches are filled."""
        for watch in self.watches:
            await watch.synced.wait()
        try:
            await self.queue.run(self._reconcile, workers=self.schedule.workers)
        finally:
            await self.scaling.aclose()
            await self.sharing.aclose()

    async def _reconcile(self, key: Key) -> float | None:
        clock = asyncio.get_running_loop().time
        started, run = clock(), Run(Outcome.FAILED)
        try:
            run = await self.reconciler.reconcile(key)
        finally:
            self.measured(run.outcome, clock() - started)
        return run.requeue_after

    async def _resync(self) -> None:
        await resync(self.queue, self._all_keys, every=self.schedule.resync_seconds)

    async def _all_keys(self) -> AsyncIterator[Key]:
        """Every LLMDeployment there is, asked from the API server: heals what the watch missed."""
        await self.authority.refresh()
        try:
            versions = await self._versions()
        except KubeError as error:
            logger.warning("Resync failed, next tick tries again", extra={"error": str(error)})
            return
        missed = self.roster.audit(versions)
        if missed:
            raise WatchFailedError(f"The watch of LLMDeployments missed {', '.join(missed)}")
        for key in versions:
            yield key

    async def _versions(self) -> dict[Key, str]:
        versions: dict[Key, str] = {}
        for namespace in self.namespaces:
            listing = await self.client.list_metadata(Selection(LLM_DEPLOYMENT, namespace))
            for item in listing.items:
                metadata = item["metadata"]
                key = Key(metadata["namespace"], metadata["name"])
                versions[key] = metadata["resourceVersion"]
        return versions

    def what_is_stuck(self) -> str:
        """Names the watches that have not taken a step for too long; empty when all is well."""
        now = asyncio.get_running_loop().time()
        stuck = [w.what.resource.plural for w in self.watches if now - w.beat > STUCK_SECONDS]
        return f"stuck watches: {', '.join(stuck)}" if stuck else ""

    def what_is_missing(self) -> str:
        """Names the kinds whose first list has not come yet; empty when all are there."""
        missing = [w.what.resource.plural for w in self.watches if not w.synced.is_set()]
        return f"not listed yet: {', '.join(missing)}" if missing else ""
