"""Ordered checks of one LLMDeployment; the first violation is what its conditions tell. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llm_operator.api import llmdeployment as api
from llm_operator.api.conditions import ConditionStatus, Reason
from llm_operator.api.llmdeployment import LLMDeploymentSpec
from llm_operator.autoscale.schedule import impossible
from llm_operator.reconcile.world import Manifest, World


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is done for this object. What runs is left alone."""

    reason: Reason
    message: str
    status: ConditionStatus = "False"
    """Of the condition `Accepted`: Unknown where time alone heals it."""


Check = Callable[[World, LLMDeploymentSpec], Refusal | None]


def check_spec(world: World) -> Refusal | None:
    """The first violation of the spec itself."""
    spec = world.deployment.spec
    if spec is None:
        return Refusal(Reason.INVALID_SPEC, world.deployment.invalid or "the spec is unreadable")
    found = (check(world, spec) for check in _SPEC_CHECKS)
    return next((refusal for refusal in found if refusal is not None), None)


def check_ownership(world: World, wanted: Iterable[Manifest]) -> Refusal | None:
    """The first object that stands where a child should and is not ours. It is never touched."""
    for manifest in wanted:
        live = world.child(manifest["kind"], manifest["metadata"]["name"])
        if live is not None and not world.owns(live):
            return _foreign(world, live)
    return None


def _foreign(world: World, live: Manifest) -> Refusal:
    what = f"{live['kind']} {live['metadata']['name']}"
    for owner in live["metadata"].get("ownerReferences") or ():
        if owner["kind"] == api.KIND and owner["name"] == world.deployment.name:
            message = f"{what} of the deleted LLMDeployment of this name is still being removed"
            return Refusal(Reason.PENDING, message, status="Unknown")
    message = (
        f"{what} exists already and is not a child of this LLMDeployment; it is left as it is: "
        f"delete it or give one of the two another name"
    )
    return Refusal(Reason.INVALID_SPEC, message)


def _check_name(world: World, _spec: LLMDeploymentSpec) -> Refusal | None:
    if len(world.deployment.name) <= api.NAME_LIMIT:
        return None
    message = f"metadata.name: at most {api.NAME_LIMIT} characters, because children append to it"
    return Refusal(Reason.INVALID_SPEC, message)


def _check_device(_world: World, spec: LLMDeploymentSpec) -> Refusal | None:
    device, gpus = spec.runtime.device, _gpus(spec)
    if device == "cpu" or (device == "auto" and not gpus):
        return None
    why = "device: cuda" if device == "cuda" else f"device: auto means cuda beside {gpus[0]}, which"
    message = f"spec.runtime.device: {why} is not supported yet: set spec.runtime.device to cpu"
    return Refusal(Reason.UNSUPPORTED_COMBINATION, message)


def _gpus(spec: LLMDeploymentSpec) -> list[str]:
    amounts = (spec.runtime.resources.get(kind) or {} for kind in ("limits", "requests"))
    return [
        name
        for given in amounts
        for name, amount in given.items()
        if (name.endswith("/gpu") or name.startswith("nvidia.com/")) and str(amount) != "0"
    ]


def _check_zero(world: World, spec: LLMDeploymentSpec) -> Refusal | None:
    autoscaling = spec.autoscaling
    if autoscaling is None or autoscaling.min_replicas or world.settings.has_activator:
        return None
    message = (
        "spec.autoscaling.minReplicas: 0 needs the activator, which holds calls while there is no "
        "pod: install the chart with activator.enabled=true, or set minReplicas to 1"
    )
    return Refusal(Reason.UNSUPPORTED_COMBINATION, message)


def _check_schedules(_world: World, spec: LLMDeploymentSpec) -> Refusal | None:
    schedules = spec.autoscaling.schedules if spec.autoscaling is not None else ()
    for index, schedule in enumerate(schedules):
        if (why := impossible(schedule)) is not None:
            message = f"spec.autoscaling.schedules[{index}].{why}"
            return Refusal(Reason.INVALID_SPEC, message)
    return None


_SPEC_CHECKS: tuple[Check, ...] = (_check_name, _check_device, _check_zero, _check_schedules)
