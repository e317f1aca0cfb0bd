"""How long pods take from being wanted to being ready, learned by watching. Pure."""

import math
from dataclasses import dataclass, replace

from llm_operator.autoscale.observation import Observation

STARTS = 20
"""The newest ones count."""

LONGEST_SECONDS = 1800.0
"""A start that takes longer is a fault, not a start-up time."""


@dataclass(frozen=True, slots=True)
class Startups:
    """Starts seen and under way."""

    since: tuple[float, ...] = ()
    """Since when each pod that is not ready is awaited, oldest first; NaN: since before us."""
    uids: frozenset[str] | None = None
    """Pods that were ready last; None before the first look."""
    took: tuple[float, ...] = ()
    """Seconds of the newest starts."""

    def see(self, observation: Observation) -> "Startups":
        """With what is ready and awaited now: what becomes ready is what was awaited longest."""
        uids = frozenset(pod.uid for pod in observation.pods)
        coming = observation.pending + len(observation.unschedulable_since)
        if uids == self.uids and coming == len(self.since):
            return self
        if self.uids is None:
            return Startups((math.nan,) * coming, uids)
        born = min(len(uids - self.uids), len(self.since))
        took = (observation.now - since for since in self.since[:born])
        kept = (s for s in took if 0 < s <= LONGEST_SECONDS)
        awaited = self.since[born:][:coming]
        new = (observation.now,) * (coming - len(awaited))
        return replace(self, since=(*awaited, *new), uids=uids, took=(*self.took, *kept)[-STARTS:])

    @property
    def p90(self) -> float | None:
        """Seconds within which nine of ten starts ended; None before the first one."""
        ordered = sorted(self.took)
        return ordered[math.ceil(0.9 * len(ordered)) - 1] if ordered else None
