"""What the pods of one LLMDeployment mean for its autoscaler. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llm_operator.api.conditions import moment
from llm_operator.autoscale.observation import Observation, PodReport
from llm_operator.autoscale.reason import DecisionReason
from llm_operator.autoscale.signals import FIRST_WORD_SECONDS, HeldCalls, PodLoad, Silence
from llm_operator.reconcile import pods
from llm_operator.reconcile.world import Manifest
from llm_operator.render.labels import REVISION


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an LLMDeployment's autoscaler has to know besides loads and pods."""

    current: int
    """Pods that were wanted last."""
    replicas: int
    """`spec.replicas` of the live Deployments together."""
    is_rolling: bool = False
    is_refused: bool = False
    """A quota, or a cluster autoscaler that has said no: waiting for nodes is no use."""
    reason: DecisionReason = DecisionReason.STEADY
    message: str = ""
    """Why `current` is wanted, as status tells it; empty where it tells nothing yet."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What pods and activators say."""

    loads: Mapping[str, PodLoad]
    """By pod uid."""
    ages: Mapping[str, float]
    """Seconds since these loads were true."""
    silences: Mapping[str, Silence]
    """Of the pods that are listened to and have no load."""
    held: HeldCalls


def observation(
    standing: Standing, runtime_pods: Iterable[Manifest], heard: Heard, now: float
) -> Observation:
    """The autoscaler's view. `now` in seconds since the epoch; pods that end or have ended are left
    out, and one whose first word is awaited is one that comes."""
    loads, held = heard.loads, heard.held
    there = [pod for pod in runtime_pods if not (pods.is_terminating(pod) or _has_ended(pod))]
    awaited = awaited_uids(there, heard.silences, now)
    serving = [pod for pod in there if _is_serving(pod, loads) and _uid(pod) not in awaited]
    serving_uids = frozenset(map(_uid, serving))
    homeless = [pod for pod in there if pods.unschedulable_message(pod) is not None]
    coming = max(standing.replicas, len(there)) - len(serving) - len(homeless)
    return Observation(
        now=now,
        pods=tuple(
            PodReport(
                uid=_uid(pod),
                load=loads.get(_uid(pod)),
                revision=_revision(pod),
                age=heard.ages.get(_uid(pod), 0.0),
            )
            for pod in serving
        ),
        pending=max(0, coming),
        awaited=tuple(uid for uid in map(_uid, there) if uid not in serving_uids),
        unschedulable_since=tuple(sorted(map(_unschedulable_since, homeless))),
        is_refused=standing.is_refused,
        held=held.calls,
        forwarding=held.forwarding,
        held_received=held.received,
        current=standing.current,
        rollout_floor=standing.current if standing.is_rolling else 0,
        is_rolling=standing.is_rolling,
    )


def awaited_uids(
    runtime_pods: Iterable[Manifest], silences: Mapping[str, Silence], now: float
) -> frozenset[str]:
    """Ready pods whose first word is not overdue: they, or we, have only just begun."""
    return frozenset(
        _uid(pod)
        for pod in runtime_pods
        if pods.is_ready(pod)
        and (silence := silences.get(_uid(pod))) is not None
        and (_is_new(silence) or now - _ready_since(pod) < FIRST_WORD_SECONDS)
    )


def _has_ended(pod: Manifest) -> bool:
    """Evicted, or on a node that was shut down: it stays as a record, and never becomes ready."""
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def _is_new(silence: Silence) -> bool:
    return silence.is_first and silence.is_brief


def _ready_since(pod: Manifest) -> float:
    ready = pods.condition(pod, "Ready") or {}
    since = ready.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return moment(str(since)).timestamp()


def _is_serving(pod: Manifest, loads: Mapping[str, PodLoad]) -> bool:
    return pods.is_ready(pod) or _is_leaving(pod, loads)


def _is_leaving(pod: Manifest, loads: Mapping[str, PodLoad]) -> bool:
    load = loads.get(_uid(pod))
    return load is not None and load.is_leaving


def _uid(pod: Manifest) -> str:
    return str(pod["metadata"]["uid"])


def _revision(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION, ""))


def _unschedulable_since(pod: Manifest) -> float:
    scheduled = pods.condition(pod, "PodScheduled") or {}
    since = scheduled.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return moment(str(since)).timestamp()
