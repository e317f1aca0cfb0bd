"""The part of an observation that lives in this process: what pods report, what the autoscaler
decides on it, and which port the activator has for an LLMDeployment."""

from dataclasses import dataclass, field, replace

from llm_operator.api.llmdeployment import LLMDeployment, LLMDeploymentSpec
from llm_operator.autoscale.loop import Autoscaler, Subject
from llm_operator.autoscale.observation import DEFAULT_SLOTS, Limits
from llm_operator.autoscale.reading import Standing
from llm_operator.autoscale.reason import DecisionReason
from llm_operator.control.loads import Held, Loads
from llm_operator.kube.store import Key
from llm_operator.reconcile.activator_ports import port_of
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.endpoints import endpoints
from llm_operator.reconcile.situation import is_quota_exceeded, live_deployments
from llm_operator.reconcile.world import Activation, World


@dataclass(slots=True, kw_only=True)
class Scaling:
    """Adds to a World what only this process knows."""

    caches: Caches
    loads: Loads
    held: Held
    autoscaler: Autoscaler
    _ports: dict[Key, int] = field(default_factory=dict)

    def observe(self, world: World) -> World:
        """The World with loads, the autoscaler's decision and the activator."""
        deployment = world.deployment
        key = Key(deployment.namespace, deployment.name)
        self.loads.follow(key, endpoints(world.pods))
        self.held.follow(endpoints(self.caches.ready_activators()))
        world = replace(world, loads=self.loads.of(key), silences=self.loads.silences(key))
        if deployment.spec is None or (autoscaling := deployment.spec.autoscaling) is None:
            self.autoscaler.forget(key)
            return world
        subject = Subject(
            autoscaling,
            limits_of(deployment.spec),
            standing_of(world, deployment.spec),
        )
        return replace(
            world,
            decision=self.autoscaler.decide(key, subject),
            activation=self._activation(key, world) if autoscaling.min_replicas == 0 else None,
        )

    def leave(self, key: Key) -> None:
        """The LLMDeployment is gone."""
        self.loads.follow(key, ())
        self.autoscaler.forget(key)
        self._ports.pop(key, None)

    async def aclose(self) -> None:
        """Another process leads: what this one heard is worth nothing any more."""
        self.autoscaler.reset()
        await self.loads.aclose()
        await self.held.aclose()
        self._ports.clear()

    def _activation(self, key: Key, world: World) -> Activation | None:
        if not world.settings.has_activator:
            return None
        addresses = sorted(str(pod["status"]["podIP"]) for pod in self.caches.ready_activators())
        return Activation(port=self._port_of(key), addresses=tuple(addresses))

    def _port_of(self, key: Key) -> int:
        """Taken at once, so that two LLMDeployments that are looked at together do not get the
        same, and kept: a record that was changed by hand is set back."""
        self._ports[key] = port_of(key, self.caches.stores["Service"].all(), self._ports)
        return self._ports[key]


def limits_of(spec: LLMDeploymentSpec) -> Limits:
    """What the rest of the spec says about scaling."""
    return Limits(
        capacity_timeout=float(spec.rollout.capacity_timeout_seconds),
        slots=spec.runtime.max_concurrent_sequences or DEFAULT_SLOTS,
    )


def standing_of(world: World, spec: LLMDeploymentSpec) -> Standing:
    """What the autoscaler has to know of an LLMDeployment besides loads and pods."""
    deployments = live_deployments(world)
    reason, message = _told(world.deployment)
    return Standing(
        current=_current(world.deployment, spec),
        replicas=sum(int(d["spec"].get("replicas") or 0) for d in deployments.values()),
        # A canary that is paused is not: that may last for days, and pods go meanwhile as ever.
        is_rolling=(world.deployment.status.get("rollout") or {}).get("phase") == "Progressing",
        is_refused=world.is_scale_up_refused
        or any(is_quota_exceeded(deployment) for deployment in deployments.values()),
        reason=reason,
        message=message,
    )


def _current(deployment: LLMDeployment, spec: LLMDeploymentSpec) -> int:
    """What was decided last; at the very start what the user wrote."""
    told = (deployment.status.get("autoscaling") or {}).get("desiredReplicas")
    return int(told) if told is not None else spec.replicas


def _told(deployment: LLMDeployment) -> tuple[DecisionReason, str]:
    """Why it was decided so, and the sentence on record; none where this version does not know
    the reason."""
    told = deployment.status.get("autoscaling") or {}
    try:
        return DecisionReason(told.get("reason", "")), str(told.get("message", ""))
    except ValueError:
        return DecisionReason.STEADY, ""
