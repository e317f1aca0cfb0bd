"""The autoscaler's loop closed over the simulated cluster: load makes decisions, decisions make
pods, and pods share the load. Time is moved by hand."""

from dataclasses import dataclass, field
from typing import Any

from llm_operator.api.llmdeployment import LLMDeploymentSpec
from llm_operator.autoscale.decide import decide
from llm_operator.autoscale.decision import Decision
from llm_operator.autoscale.memory import Memory
from llm_operator.autoscale.observation import Limits
from llm_operator.autoscale.reading import Heard, observation
from llm_operator.autoscale.signals import HeldCalls, PodState
from llm_operator.reconcile import pods
from llm_operator.reconcile.actions import Plan
from llm_operator.reconcile.scaling import standing_of
from llm_operator.reconcile.world import World
from llm_operator.render import labels
from support import worlds
from support.simulated_cluster import SimulatedCluster

STREAMS_OF_A_POD = 3.4
"""What a pod of four slots carries at the default target of 85 %."""


@dataclass
class AutoscaledCluster:
    """One LLMDeployment under a load of so many concurrent streams."""

    cluster: SimulatedCluster
    streams: int = 0
    answers_end: bool = True
    """Whether pods that drain get on with the requests that they have."""
    memory: Memory | None = None
    plans: list[Plan] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def desired(self) -> int:
        return self.decisions[-1].desired

    @property
    def wishes(self) -> set[int]:
        """Every count that was wanted."""
        return {decision.desired for decision in self.decisions}

    def restart(self) -> None:
        """Another process leads; it knows what the API server knows."""
        self.memory = None

    def forget(self) -> None:
        """From here on, only what comes is looked at."""
        self.plans.clear()
        self.decisions.clear()

    def run(self, seconds: float, step: float = 1.0) -> None:
        """Time goes on."""
        for _ in range(round(seconds / step)):
            self.tick(step)

    def tick(self, step: float = 1.0) -> None:
        """One look of the operator, and one notch of everything else."""
        self._share()
        self.cluster.around["decision"] = decision = self._decide()
        self.decisions.append(decision)
        self.plans.append(self.cluster.reconcile())
        self.cluster.step(step)

    def reason(self, kind: str = "AutoscalingActive") -> str:
        """The reason of a condition."""
        found = self.cluster.deployment["status"]["conditions"]
        return str(next((c["reason"] for c in found if c["type"] == kind), ""))

    def runtime_pods(self) -> list[dict[str, Any]]:
        """Those that are not on their way out, oldest first."""
        return [
            pod
            for pod in self.cluster.pods.values()
            if pods.is_runtime_pod(pod) and not pods.is_terminating(pod)
        ]

    def uids(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.runtime_pods()}

    def draining(self) -> list[str]:
        """Uids of pods that were asked to drain."""
        return [u for u in self.uids() if self._state(u) is not PodState.SERVING]

    def _state(self, uid: str) -> PodState:
        return self.cluster.drains.get(uid, PodState.SERVING)

    def _share(self) -> None:
        """New streams go to pods that are ready; one that drains ends those that it has."""
        requests = self.cluster.requests
        ready = [p["metadata"]["uid"] for p in self.runtime_pods() if pods.is_ready(p)]
        leaving = [uid for uid in self.draining() if uid not in ready]
        for uid in leaving:
            requests[uid] = max(0, requests.get(uid, 0) - self.answers_end)
        kept = sum(requests[uid] for uid in leaving)
        free = max(0, self.streams - kept)
        for index, uid in enumerate(ready):
            requests[uid] = free // len(ready) + (index < free % len(ready))

    def _decide(self) -> Decision:
        world = self.cluster.world()
        spec = world.deployment.spec
        assert spec is not None
        assert spec.autoscaling is not None
        standing = standing_of(world, spec)
        now = world.now.timestamp()
        memory = self.memory or Memory.after_restart(standing.current, now)
        heard = Heard(world.loads, {}, world.silences, HeldCalls())
        seen = observation(standing, _runtime(world), heard, now)
        decision = decide(seen, memory, spec.autoscaling, _limits(spec))
        self.memory = decision.memory
        return decision


def autoscaled(pods_at_first: int, streams: int, **spec: Any) -> AutoscaledCluster:
    """An LLMDeployment that has served so many streams with so many pods for a while."""
    autoscaling = {"maxReplicas": 20, **spec.pop("autoscaling", {})}
    manifest = worlds.manifest({"replicas": pods_at_first, "autoscaling": autoscaling, **spec})
    made = AutoscaledCluster(SimulatedCluster(manifest), streams)
    made.run(120, step=4)
    made.forget()
    return made


def _runtime(world: World) -> list[Any]:
    found = (pod for pod in world.pods if pods.is_runtime_pod(pod))
    return [pod for pod in found if labels.REVISION in pod["metadata"]["labels"]]


def _limits(spec: LLMDeploymentSpec) -> Limits:
    return Limits(capacity_timeout=float(spec.rollout.capacity_timeout_seconds))
