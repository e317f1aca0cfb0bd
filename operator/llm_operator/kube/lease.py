"""Leadership by a `coordination.k8s.io` Lease, around the workers only: watches run on every
replica.

A holder renews every `retry` seconds and gives up, by its own monotonic clock, when no renewal got
through for `renew` seconds. Another one takes over when it has seen the Lease unchanged for
`duration` seconds by *its* clock; wall clocks are written for people and decide nothing. So the
old holder has stopped `duration - renew` seconds before a new one can start, whatever the clocks
of the machines say.

A holder counts from *before* its renewal was sent, a challenger from *after* the answer that showed
it. The clock goes on while the
process is stopped (SIGSTOP) and while the machine sleeps, so a leader that wakes up late knows
that it is late: `fence` is asked before each write and refuses.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llm_operator.kube import request as requests
from llm_operator.kube.client import Json, KubeClient
from llm_operator.kube.errors import ConflictError, KubeError, NotLeaderError
from llm_operator.kube.resources import LEASE

logger = logging.getLogger(__name__)


def boot_clock() -> float:
    """Seconds that never jump and never pause, not even while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Terms:
    """Times of a Lease, in seconds. Kubernetes' own controllers use the same."""

    duration: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    @classmethod
    def of(cls, duration: float) -> "Terms":
        """The usual proportions for another duration."""
        return cls(duration, duration * 2 / 3, duration * 2 / 15)


@dataclass(slots=True)
class Lease:
    """One candidate for one Lease. `client` must not be fenced by this lease itself."""

    client: KubeClient
    namespace: str
    name: str
    identity: str
    terms: Terms = field(default_factory=Terms)
    clock: Callable[[], float] = boot_clock
    draw: Callable[[], float] = random.random
    _held_since: float | None = None
    """Clock time before the last renewal was sent; None when the Lease is not ours."""
    _seen: Json | None = None
    _seen_at: float = 0.0

    @property
    def is_held(self) -> bool:
        return self._remaining() > 0

    def fence(self) -> float:
        """Seconds for which a write is safe. Raises NotLeaderError when there are none."""
        remaining = self._remaining()
        if remaining <= 0:
            raise NotLeaderError(f"{self.identity} does not hold the Lease {self.name}")
        return remaining

    def _remaining(self) -> float:
        if self._held_since is None:
            return 0.0
        return self._held_since + self.terms.duration - self.clock()

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Runs `work` whenever and as long as the Lease is held; for ever, until cancelled.

        On loss the work is cancelled at once and the candidate stands again. When the work itself
        ends or fails, or this is cancelled, the Lease is released after the work has stopped.
        """
        try:
            while True:
                await self._acquire()
                logger.info("Started leading", extra={"identity": self.identity})
                if await self._work_while_held(work):
                    return
                logger.warning("Lost the leadership", extra={"identity": self.identity})
        finally:
            await self._release()

    async def _acquire(self) -> None:
        while True:
            if await self._attempt():
                return
            await asyncio.sleep(self.terms.retry * (1 + 0.2 * self.draw()))

    async def _work_while_held(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether the work ended by itself; False when the Lease was lost."""
        working = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._renew_until_lost(), name="lease renewal")
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            ended = working.done()
        finally:
            await _cancel(working)
            await _cancel(renewing)
        if ended:
            working.result()
        elif not renewing.cancelled():
            renewing.result()
        return ended

    async def _renew_until_lost(self) -> None:
        while True:
            await asyncio.sleep(self.terms.retry)
            if not await self._attempt() and self._is_late():
                self._held_since = None
                return

    def _is_late(self) -> bool:
        since = self._held_since
        return since is None or self.clock() - since >= self.terms.renew

    async def _attempt(self) -> bool:
        """One try to take or renew the Lease, bounded so that a hanging server is noticed in
        time."""
        started = self.clock()
        try:
            async with asyncio.timeout(max(self.terms.retry, self._patience(started))):
                current = await self.client.get(LEASE, self.namespace, self.name)
                self._look(current, self.clock())
                if not self._may_take(current, started):
                    self._held_since = None
                    return False
                self._seen = await self._write(current, self.identity)
        except ConflictError:
            return False  # somebody else was faster; the next look tells who
        except (KubeError, TimeoutError) as error:
            logger.info("Lease could not be renewed", extra={"error": str(error)})
            return False
        self._seen_at = self._held_since = started
        return True

    def _patience(self, now: float) -> float:
        since = self._held_since
        return 0.0 if since is None else since + self.terms.renew - now

    def _look(self, current: Json | None, now: float) -> None:
        if self._seen is None or _spec(current) != _spec(self._seen):
            self._seen, self._seen_at = current, now

    def _may_take(self, current: Json | None, now: float) -> bool:
        holder = _spec(current).get("holderIdentity")
        if not holder or holder == self.identity:
            return True
        promised = float(_spec(current).get("leaseDurationSeconds") or self.terms.duration)
        return now - self._seen_at >= promised

    async def _write(self, current: Json | None, holder: str) -> Json:
        manifest = self._manifest(current, holder)
        create_or_swap = requests.create if current is None else requests.replace
        return await self.client.send(create_or_swap(manifest))

    def _manifest(self, current: Json | None, holder: str) -> Json:
        now, before = datetime.now(UTC).isoformat(timespec="microseconds"), _spec(current)
        now = now.replace("+00:00", "Z")
        changes = bool(holder) and before.get("holderIdentity") != holder
        metadata: dict[str, Any] = {"name": self.name, "namespace": self.namespace}
        if current is not None:
            metadata["resourceVersion"] = current["metadata"]["resourceVersion"]
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(self.terms.duration)) if holder else 1,
                "acquireTime": now if changes else before.get("acquireTime", now),
                "renewTime": now,
                "leaseTransitions": int(before.get("leaseTransitions") or 0) + int(changes),
            },
        }

    async def _release(self) -> None:
        """Gives a held Lease back, so that the next one need not wait for its end."""
        if not self.is_held or self._seen is None:
            return
        self._held_since = None
        try:
            async with asyncio.timeout(self.terms.retry):
                await self._write(self._seen, "")
        except (KubeError, TimeoutError) as error:
            logger.info("Lease could not be released", extra={"error": str(error)})
        else:
            logger.info("Released the Lease", extra={"identity": self.identity})


async def _cancel(task: "asyncio.Future[None]") -> None:
    """Cancels and waits for the end; what it raised is left in it."""
    task.cancel()
    await asyncio.wait({task})


def _spec(lease: Json | None) -> dict[str, Any]:
    return dict((lease or {}).get("spec") or {})
