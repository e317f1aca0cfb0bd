"""One reconcile, on one screen: key -> observe -> plan -> apply -> report.

Flow is one way. Nothing here remembers anything between two runs, so a run may be lost, repeated or
cut off anywhere: the next one starts from what is there.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from llm_operator.api.conditions import Reason
from llm_operator.kube.errors import AnsweredError, ForbiddenError, InvalidError, KubeError
from llm_operator.kube.store import Key
from llm_operator.reconcile import status
from llm_operator.reconcile.actions import Plan
from llm_operator.reconcile.apply import Applier
from llm_operator.reconcile.observe import Observer
from llm_operator.reconcile.policies import Refusal
from llm_operator.reconcile.world import World

logger = logging.getLogger(__name__)

Planner = Callable[[World], Plan]

FOLLOW_UP_SECONDS = 1.0
"""After a run that wrote children comes another one: the stores know our own writes already, so the
watch will have no news of them, and the next plan may build on them. Not at once: if ever two
writes undo each other, that must not become a hot loop."""


class Outcome(StrEnum):
    """How a run ended; the closed set of the metric's label."""

    ABSENT = "absent"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did, and in how many seconds it wants to be followed by another one."""

    outcome: Outcome
    requeue_after: float | None = None


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one LLMDeployment's world closer to its spec."""

    observer: Observer
    plan: Planner
    applier: Applier

    async def reconcile(self, key: Key) -> Run:
        """One run. Raises a KubeError for the queue to retry."""
        world = await self.observer.observe(key)
        if world is None:
            return Run(Outcome.ABSENT)
        plan = self.plan(world)
        if plan.creations:
            world = await self.observer.with_strangers(world, plan.creations)
            plan = self.plan(world)
        if plan.is_empty:
            return Run(Outcome.UNCHANGED, plan.requeue_after)
        try:
            await self.applier.apply(key, world.deployment.uid, plan)
        except (InvalidError, ForbiddenError) as refused:
            await self._tell_refusal(key, world, refused)
            raise
        return Run(Outcome.CHANGED, _next_look(plan))

    async def _tell_refusal(self, key: Key, world: World, refused: AnsweredError) -> None:
        """Says in the status why a child cannot be written; the queue goes on trying."""
        told = status.of_refusal(world, refusal_of(refused))
        body = status.patch(world.deployment.status, told)
        if not refused.about or body is None:
            return
        try:
            await self.applier.report(key, body)
        except KubeError as error:  # the refusal is what the queue and the log have to hear of
            context = {"key": str(key), "error": str(error)}
            logger.warning("Status cannot tell of a refusal", extra=context)


def refusal_of(refused: AnsweredError) -> Refusal:
    """What a child that the API server does not take means for the LLMDeployment.

    What is wrong stays wrong until the spec changes; what is forbidden (a quota, a webhook) may be
    allowed later.
    """
    message = f"the API server refuses {refused.about}: {refused.message}"
    if isinstance(refused, InvalidError):
        return Refusal(Reason.INVALID_SPEC, message)
    over_quota = "exceeded quota" in refused.message
    reason = Reason.QUOTA_EXCEEDED if over_quota else Reason.INVALID_SPEC
    return Refusal(reason, message, "Unknown")


def _next_look(plan: Plan) -> float | None:
    """Seconds until the next run after this plan was done."""
    if not plan.writes:
        return plan.requeue_after
    wished = FOLLOW_UP_SECONDS if plan.requeue_after is None else plan.requeue_after
    return min(FOLLOW_UP_SECONDS, wished)
