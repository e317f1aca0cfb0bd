"""Simulated nodes: some stand ready, further ones arrive minutes after a pod asks for one."""

from collections import deque
from dataclasses import dataclass, field
from random import Random

from bench.autoscaler_sim.pod import Pod

ARRIVAL_SECONDS = (180.0, 300.0)
"""Least and most, from asking for a node until it is there."""

START_SECONDS = (40.0, 80.0)
"""Least and most, from having a node until ready."""

LEAVES_AFTER_SECONDS = 600.0
"""An empty node beyond the standing ones is given back."""


@dataclass(slots=True)
class Nodes:
    """Places for one pod each."""

    standing: int
    """Nodes that are always there."""
    most: int
    random: Random
    taken: int = 0
    coming: int = 0
    empty: list[float] = field(default_factory=list)
    """Since when each empty node beyond the standing ones is empty."""
    waiting: deque[Pod] = field(default_factory=deque)

    def place(self, pod: Pod, now: float) -> bool:
        """Takes a place for the pod; False where it has to wait for one."""
        self.empty = [since for since in self.empty if now - since < LEAVES_AFTER_SECONDS]
        if self.taken < self.standing or self.empty:
            if self.taken >= self.standing:
                self.empty.pop()
            self.taken += 1
            pod.scheduled = now
            return True
        self.waiting.append(pod)
        return False

    def idle_seconds(self, since: float, until: float) -> float:
        """How long nodes beyond the standing ones were kept for nobody in that time."""
        ends = (at + LEAVES_AFTER_SECONDS for at in self.empty)
        return sum(max(0.0, min(until, end) - since) for end in ends)

    def order(self) -> float | None:
        """Asks for a node for the newest waiting pod: seconds until it is there, or None."""
        if max(self.taken, self.standing) + self.coming >= self.most:
            return None
        self.coming += 1
        return self.random.uniform(*ARRIVAL_SECONDS)

    def arrive(self, now: float) -> Pod | None:
        """A node is there; the pod that gets it, if one still waits."""
        self.coming -= 1
        if not self.waiting:
            self.empty.append(now)
            return None
        pod = self.waiting.popleft()
        self.taken += 1
        pod.scheduled = now
        return pod

    def free(self, now: float) -> Pod | None:
        """A pod has gone; who gets its place, if one waits."""
        self.taken -= 1
        if self.waiting:
            pod = self.waiting.popleft()
            self.taken += 1
            pod.scheduled = now
            return pod
        if self.taken >= self.standing:
            self.empty.append(now)
        return None

    def start(self) -> float:
        """Seconds from a place to ready."""
        return self.random.uniform(*START_SECONDS)
