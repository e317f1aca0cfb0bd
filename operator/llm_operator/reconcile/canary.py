"""World -> how the calls are shared between the stable revision and a new one. Pure.

What was reached stands in `status.rollout`; this reads it, goes at most one step further, and says
what follows for pods and shares.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from llm_operator.api.conditions import moment
from llm_operator.api.llmdeployment import LLMDeploymentSpec, RolloutStep
from llm_operator.reconcile import pods
from llm_operator.reconcile.world import World
from llm_operator.rollout.canary import (
    Abort,
    Command,
    Facts,
    Failure,
    Pause,
    Progress,
    SetWeight,
    Shortage,
    Step,
    advance,
    has_pods,
    percent,
    pods_of_step,
    time_left,
)
from llm_operator.rollout.clients import Shares, have_accepted
from llm_operator.rollout.drawn import is_within_bounds
from llm_operator.rollout.rolling import Fleet

MOST_RESTARTS = 3
"""One end may be bad luck, and a second one too."""

LONGEST_GOODBYE_SECONDS = 30
"""So long clients are waited for before the pods of what was taken back drain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A new revision on its way through the steps.

    Attributes:
        revision: the new one.
        stable: the one that it is to replace.
        progress: after this look.
        pods: that the new revision is to have next; the stable one keeps all of its own.
        has_pods: whether it has them.
        shares: per cent of the calls by revision, to be told next.
        is_verified: whether clients share their calls so already.
        is_over: whether nothing is left to do but to take the stable revision's pods away.
        seconds_left: until time alone ends a pause or makes pods late.
    """

    revision: str
    stable: str
    steps: tuple[Step, ...]
    progress: Progress
    pods: int
    has_pods: bool
    shares: Shares
    is_verified: bool
    is_over: bool
    seconds_left: float | None

    @property
    def percent(self) -> int:
        """Per cent of the calls that the new revision gets."""
        return self.shares[self.revision]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is expected of clients any more."""
        return self.is_verified or (self.abort is not None and not self.pods)

    @property
    def abort(self) -> Abort | None:
        """That it was taken back, and why. The stable revision then gets every call."""
        return self.progress.abort

    @property
    def pause(self) -> Pause | None:
        """The pause that it is in."""
        if self.abort is not None or self.progress.step >= len(self.steps):
            return None
        step = self.steps[self.progress.step]
        return step if isinstance(step, Pause) else None


def canary_of(
    world: World, spec: LLMDeploymentSpec, *, revision: str, wanted: int, fleet: Fleet
) -> Canary | None:
    """The canary, whose pods are `fleet`; None where the strategy has none, nothing is to be
    replaced, or no pod is wanted that could take a call."""
    stable = world.deployment.status.get("stableRevision")
    if spec.rollout.strategy != "Canary" or stable in (None, revision) or not wanted:
        return None
    steps, available = tuple(map(_step, spec.rollout.steps)), fleet.available

    def shares_at(progress: Progress) -> Shares:
        share = percent(progress, steps, wanted, available)
        return {str(stable): 100 - share, revision: share}

    before = _progress(world, revision, steps)
    facts = Facts(
        now=world.now,
        wanted=wanted,
        available=available,
        are_shares_true=_are_true(world, shares_at(before)),
        deadline_seconds=spec.rollout.progress_deadline_seconds,
        failure=_failure(world, spec, revision),
        pods=sum(1 for _ in pods.staying(world.pods, revision)),
        action=world.deployment.rollout_action,
        is_for_it=_is_for(world, revision),
    )
    progress = advance(before, steps, facts)
    shares = shares_at(progress)
    is_past, are_true = progress.step >= len(steps), _are_true(world, shares)
    asked = pods_of_step(progress, steps, wanted)
    return Canary(
        revision=revision,
        stable=str(stable),
        steps=steps,
        progress=progress,
        # Pods that were taken back go when no client calls them any more.
        pods=fleet.wanted if _is_still_called(world, progress, shares) else asked,
        has_pods=has_pods(progress, steps, wanted, available),
        shares=shares,
        is_verified=is_verified(world, shares),
        is_over=is_past and shares[revision] == 100 and are_true,
        seconds_left=time_left(progress, steps, facts),
    )


def told_shares(status: Mapping[str, Any]) -> Shares:
    """The shares that clients are told now; empty where pods are alike."""
    told = ((status.get("rollout") or {}).get("weights") or {}).get("shares") or ()
    return {share["revision"]: share["percent"] for share in told}


def is_verified(world: World, shares: Shares) -> bool:
    """Whether clients that use xDS share their calls so, and the pods' counters show it. Once it
    was so it stays so, until the shares change."""
    if not world.settings.has_xds or told_shares(world.deployment.status) != shares:
        return False
    if _weights(world).get("verified"):
        return True
    clients = world.clients
    return (
        have_accepted(clients.reports, shares)
        and clients.counted is not None
        and is_within_bounds(shares, clients.counted)
    )


def step_hash(steps: tuple[Step, ...]) -> str:
    """Names the steps: other steps begin anew."""
    text = json.dumps([[type(step).__name__, _amount(step)] for step in steps])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _amount(step: Step) -> int | None:
    return step.percent if isinstance(step, SetWeight) else step.seconds


def _step(given: RolloutStep) -> Step:
    if given.set_weight is not None:
        return SetWeight(given.set_weight)
    return Pause(given.pause.duration_seconds if given.pause is not None else None)


def _are_true(world: World, shares: Shares) -> bool:
    """Where nobody uses xDS, shares are those of the pods, whatever is told: nothing will ever
    follow it, and the rollout goes on."""
    is_told = told_shares(world.deployment.status) == shares
    if not world.settings.has_xds:
        return is_told
    reports = world.clients.reports
    if is_told and not world.clients.streams and have_accepted(reports, shares):
        return True
    return is_verified(world, shares)


def _progress(world: World, revision: str, steps: tuple[Step, ...]) -> Progress:
    """What is on record, if it is of this revision and these steps."""
    status = world.deployment.status
    rollout = status.get("rollout") or {}
    if status.get("currentRevision") != revision or rollout.get("stepHash") != step_hash(steps):
        return Progress(last_action=rollout.get("lastAction"))
    began = (rollout.get("pause") or {}).get("startTime")
    return Progress(
        step=min(int(rollout.get("stepIndex") or 0), len(steps)),
        paused_since=moment(began) if began else None,
        shortage=_shortage(rollout.get("shortage")),
        abort=_abort(rollout.get("abort")),
        last_action=rollout.get("lastAction"),
    )


def _shortage(told: Mapping[str, Any] | None) -> Shortage | None:
    return Shortage(int(told["available"]), moment(told["since"])) if told else None


def _abort(told: Mapping[str, Any] | None) -> Abort | None:
    if not told:
        return None
    return Abort(Failure(told["reason"], told["message"]), moment(told["time"]))


def _failure(world: World, spec: LLMDeploymentSpec, revision: str) -> Failure | None:
    """A pod of the revision that ends again and again, each time for that reason. One that is on
    its way out does not count: on a lost node it may be so for ever."""
    mine = pods.staying(world.pods, revision)
    for pod in sorted(mine, key=lambda pod: str(pod["metadata"]["name"])):
        trouble = pods.trouble_of(pod, spec.rollout.startup_timeout_seconds)
        if trouble is not None and pods.restarts_of_ended(pod) >= MOST_RESTARTS:
            return Failure(trouble.reason, f"pod {pod['metadata']['name']}: {trouble.message}")
    return None


def _is_still_called(world: World, progress: Progress, shares: Shares) -> bool:
    """Whether clients may still call what was taken back. Those that do not use xDS call it as long
    as it has pods, and those that do are not waited for without end."""
    if progress.abort is None:
        return False
    if told_shares(world.deployment.status) != shares:
        return True
    is_patient = world.now < progress.abort.at + timedelta(seconds=LONGEST_GOODBYE_SECONDS)
    has_xds = world.settings.has_xds
    return has_xds and is_patient and not have_accepted(world.clients.reports, shares)


def _weights(world: World) -> Mapping[str, Any]:
    rollout = world.deployment.status.get("rollout") or {}
    return rollout.get("weights") or {}


def _is_for(world: World, revision: str) -> bool:
    """Whether the command that stands is one for this revision."""
    given = world.deployment.rollout_action
    return given in {f"{command}@{revision}" for command in Command}
