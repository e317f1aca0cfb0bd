"""What keeps an export pod from starting. Pure."""

from datetime import timedelta

from llm_operator.api.conditions import Reason, moment
from llm_operator.reconcile import pods
from llm_operator.reconcile.world import Manifest, World

MOUNT_GRACE = timedelta(seconds=45)
"""How long volumes may take to be mounted before a missing one is suspected."""


def obstacle_of(world: World, pod: Manifest) -> pods.Trouble | None:
    """Of a pod that has not run yet; None if nothing is in its way."""
    if (unschedulable := pods.unschedulable_message(pod)) is not None:
        return _scheduling_obstacle(unschedulable)
    if (image := pods.image_trouble(pod)) is not None:
        return image
    return _mount_obstacle(world, pod)


def _scheduling_obstacle(message: str) -> pods.Trouble:
    text = message.lower()
    reason = Reason.UNSCHEDULABLE
    if "persistentvolumeclaim" in text and "not found" in text:
        reason = Reason.FILE_NOT_FOUND
    elif "volume" in text:
        reason = Reason.VOLUME_CONFLICT
    elif "insufficient memory" in text:
        reason = Reason.INSUFFICIENT_MEMORY
    return pods.Trouble(reason, f"no node can run the export pod: {pods.excerpt(message)}")


def _mount_obstacle(world: World, pod: Manifest) -> pods.Trouble | None:
    """A Secret or volume that is missing shows only in that no container ever starts."""
    ready = pods.condition(pod, "PodReadyToStartContainers")
    scheduled = pods.condition(pod, "PodScheduled")
    is_waiting = ready is not None and ready["status"] == "False" and not pods.has_started(pod)
    if not is_waiting or scheduled is None or scheduled["status"] != "True":
        return None
    if world.now - moment(scheduled["lastTransitionTime"]) < MOUNT_GRACE:
        return None
    spec = world.deployment.spec
    if spec is not None and spec.model.credentials is not None:
        secret = spec.model.credentials.secret_ref.name
        sentence = f"the export pod waits for its volumes: does Secret {secret} exist?"
        return pods.Trouble(Reason.AUTH_FAILED, sentence)
    sentence = "the export pod waits for its volumes: is the claim used on another node?"
    return pods.Trouble(Reason.VOLUME_CONFLICT, sentence)
