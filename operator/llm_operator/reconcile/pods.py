"""What a pod's status says about why it does not serve. Pure reading."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llm_operator.api.conditions import Reason, moment
from llm_operator.reconcile.world import Manifest
from llm_operator.render import labels

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

EXCERPT = 400
"""Characters of a termination message or log tail that are shown."""

_IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not get on."""

    reason: Reason
    message: str


def is_runtime_pod(pod: Manifest, hash8: str | None = None) -> bool:
    """Whether it serves (a certain revision, if one is given)."""
    found = pod["metadata"].get("labels") or {}
    return found.get(labels.COMPONENT) == "runtime" and hash8 in (None, found.get(labels.REVISION))


def staying(found: Iterable[Manifest], hash8: str | None = None) -> Iterator[Manifest]:
    """Runtime pods that are not on their way out (of a certain revision, if one is given)."""
    return (pod for pod in found if is_runtime_pod(pod, hash8) and not is_terminating(pod))


def is_terminating(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def container_statuses(pod: Manifest) -> Iterator[Mapping[str, Any]]:
    """Init containers first, in the order in which they run."""
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def has_started(pod: Manifest) -> bool:
    """Whether a container runs or ran."""
    states = (status.get("state") or {} for status in container_statuses(pod))
    return any("running" in state or "terminated" in state for state in states)


def restarts_of_ended(pod: Manifest) -> int:
    """How often its container was started again that does not run now; the most of them."""
    ended = (s for s in container_statuses(pod) if "running" not in (s.get("state") or {}))
    return max((int(status.get("restartCount") or 0) for status in ended), default=0)


def is_ready(pod: Manifest) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def has_been_ready(pod: Manifest) -> bool:
    """Whether its server has started: what is not ready any more is not what only starts."""
    found = (pod.get("status") or {}).get("containerStatuses") or ()
    return is_ready(pod) or (bool(found) and all(status.get("started") for status in found))


def node_of(pod: Manifest) -> str | None:
    name: str | None = (pod.get("spec") or {}).get("nodeName")
    return name


def age(pod: Manifest, now: datetime) -> float:
    """Seconds since it was made."""
    made = pod["metadata"].get("creationTimestamp")
    return (now - moment(str(made))).total_seconds() if made else 0.0


def deletion_cost(pod: Manifest) -> int:
    """Which of equal pods a ReplicaSet takes first: the one with the lowest."""
    text = str((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
    try:
        return int(text)
    except ValueError:
        return 0  # as the ReplicaSet controller reads what is no number


def condition(pod: Manifest, kind: str) -> Mapping[str, Any] | None:
    found = (pod.get("status") or {}).get("conditions") or ()
    return next((c for c in found if c["type"] == kind), None)


def unschedulable_message(pod: Manifest) -> str | None:
    """The scheduler's sentence where it found no node."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None or scheduled["status"] != "False":
        return None
    return str(scheduled.get("message") or scheduled.get("reason") or "no node fits")


def image_trouble(pod: Manifest) -> Trouble | None:
    """A container whose image cannot be had."""
    for status in container_statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _IMAGE_REASONS:
            return Trouble(Reason.IMAGE_PULL_BACK_OFF, _image_sentence(status, waiting))
    return None


def _image_sentence(status: Mapping[str, Any], waiting: Mapping[str, Any]) -> str:
    why = excerpt(str(waiting.get("message") or waiting["reason"]))
    return f"image {status.get('image')} of container {status['name']} cannot be had: {why}"


def trouble_of(pod: Manifest, startup_timeout_seconds: int) -> Trouble | None:
    """Why a runtime pod is not ready, where its containers know; None if nothing is wrong."""
    if (found := image_trouble(pod)) is not None:
        return found
    for status in container_statuses(pod):
        if (found := _container_trouble(status, startup_timeout_seconds)) is not None:
            return found
    return None


def _container_trouble(status: Mapping[str, Any], startup_timeout: int) -> Trouble | None:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    if waiting.get("reason") in _CONFIG_REASONS:
        sentence = excerpt(str(waiting.get("message") or waiting["reason"]))
        return Trouble(
            Reason.CONTAINER_CONFIG_ERROR,
            f"container {status['name']} cannot be made: {sentence}",
        )
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
    if status.get("ready") or ended is None or _is_clean(ended, state):
        return None
    return _ending(status, ended, startup_timeout)


def _is_clean(ended: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """An init container that is done; a server that ended by itself is not clean."""
    return bool(state.get("terminated")) and ended.get("exitCode") == 0


def _ending(status: Mapping[str, Any], ended: Mapping[str, Any], startup_timeout: int) -> Trouble:
    name, restarts = status["name"], status.get("restartCount", 0)
    told = termination_result(ended)
    where = f"container {name} (restarted {restarts} times)"
    if ended.get("reason") == "OOMKilled":
        sentence = "was killed for memory: raise spec.runtime.resources.limits.memory"
        return Trouble(Reason.OOM_KILLED, f"{where} {sentence}")
    if told is not None and told.get("ok") is False:
        return Trouble(Reason.MODEL_LOAD_FAILED, f"{where}: {excerpt(str(told.get('message')))}")
    if _seconds_run(ended) >= startup_timeout:
        sentence = f"did not start within rollout.startupTimeoutSeconds ({startup_timeout} s)"
        return Trouble(Reason.STARTUP_TIMEOUT, f"{where} {sentence}")
    tail = excerpt(str(ended.get("message") or "no message"))
    sentence = f"{where} ended with exit code {ended.get('exitCode')}: {tail}"
    return Trouble(Reason.CRASH_LOOP_BACK_OFF, sentence)


def _seconds_run(ended: Mapping[str, Any]) -> float:
    started, finished = ended.get("startedAt"), ended.get("finishedAt")
    if not started or not finished:
        return 0.0
    return (moment(finished) - moment(started)).total_seconds()


def termination_result(ended: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result that a container of ours left, or None where it left none."""
    try:
        result = json.loads(ended.get("message") or "")
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def excerpt(text: str) -> str:
    """One line, its end where it is too long: the end of a log says what happened."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"…{line[-EXCERPT:]}"
