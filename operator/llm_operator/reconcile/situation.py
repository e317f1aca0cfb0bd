"""Situation: what the World means for an accepted spec. Plan and status are both read off it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_operator.api.llmdeployment import LLMDeploymentSpec
from llm_operator.drain.victims import Candidate, Shrinking, shrink
from llm_operator.reconcile import export_state as exports
from llm_operator.reconcile import pods
from llm_operator.reconcile.canary import Canary, canary_of, told_shares
from llm_operator.reconcile.export import export_of
from llm_operator.reconcile.world import Manifest, World, uid_of
from llm_operator.render import labels, names
from llm_operator.render import revision as intents
from llm_operator.render.artifact import Artifact
from llm_operator.render.controller_revision import Revision, revision_from_record
from llm_operator.render.pod_template import Serving, pod_template
from llm_operator.rollout.canary import Abort
from llm_operator.rollout.clients import Shares
from llm_operator.rollout.rolling import Fleet, next_replicas, without_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One reconcile's reading of its World."""

    world: World
    spec: LLMDeploymentSpec
    hash8: str
    """The revision that the spec asks for."""
    key8: str
    """The export that the spec asks for."""
    records: tuple[Revision, ...]
    """All revisions on record, newest first."""
    target: Revision | None
    """The revision that the spec asks for, on record or just rendered; None without an artifact."""
    export: exports.Export
    deployments: Mapping[str, Manifest]
    """Live Deployments by revision."""
    stable: str | None
    """The newest revision that once carried everything."""
    replicas: Mapping[str, int]
    """What each revision's Deployment should have next."""
    canary: Canary | None = None
    """The new revision on its way through the steps of strategy Canary."""
    carrying: str | None = None
    """The revision that calls rely on: the target once a pod of it has started, before that the
    stable one. Its pods are drained before they go. None without a Deployment of either."""
    shrinking: Shrinking | None = None
    """How the carrying revision gets rid of pods that are too many."""

    @property
    def abort(self) -> Abort | None:
        """That the target was taken back, and why."""
        return self.canary.abort if self.canary is not None else None

    @property
    def wanted(self) -> int:
        """Serving pods that there should be, without surge."""
        return wanted_replicas(self.world, self.spec)

    @property
    def is_scaled_to_zero(self) -> bool:
        """By the autoscaler, so that the next call brings it back."""
        autoscaling = self.spec.autoscaling
        return (
            autoscaling is not None
            and autoscaling.mode == "Active"
            and not self.spec.suspend
            and self.wanted == 0
        )

    @property
    def is_activator_in_path(self) -> bool:
        """Whether calls should find the activator: from before the last pod drains until the first
        one is ready again."""
        if self.is_scaled_to_zero:
            return True
        is_there = any(is_activator_slice(s) for s in self.world.owned("EndpointSlice"))
        return is_there and not self.spec.suspend and not any(map(pods.is_ready, self.pods_of()))

    @property
    def shares(self) -> Shares:
        """Per cent of the calls by revision, as clients are to be told; empty where pods are alike.
        After a canary, and after one that was taken back, they last until the other revision has no
        pod left that could be called; a revision without a pod that serves never gets them all."""
        if self.canary is not None:
            return self.canary.shares
        others = (pod for pod in self.pods_of() if not pods.is_runtime_pod(pod, self.hash8))
        told = told_shares(self.world.deployment.status)
        if not (self.wanted and told and any(others) and self.target_fleet.available):
            return {}
        return {**dict.fromkeys(told, 0), self.hash8: 100}

    @property
    def is_target_on_record(self) -> bool:
        return any(record.hash8 == self.hash8 for record in self.records)

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        return {hash8: self._fleet(hash8) for hash8 in self.deployments}

    @property
    def target_fleet(self) -> Fleet:
        return self._fleet(self.hash8)

    @property
    def is_target_complete(self) -> bool:
        """Whether the target carries everything and nothing of the old ones is left."""
        old = (fleet for hash8, fleet in self.fleets.items() if hash8 != self.hash8)
        return is_carrying(self.deployments.get(self.hash8), self.wanted) and not any(
            fleet.wanted for fleet in old
        )

    def record_of(self, hash8: str) -> Revision | None:
        return next((record for record in self.records if record.hash8 == hash8), None)

    def pods_of(self, hash8: str | None = None) -> Iterator[Manifest]:
        """Runtime pods that are not on their way out."""
        return pods.staying(self.world.pods, hash8)

    def _fleet(self, hash8: str) -> Fleet:
        return _fleet(hash8, self.deployments.get(hash8), self.records)


def assess(world: World, spec: LLMDeploymentSpec) -> Situation:
    """What the World means for that spec."""
    hash8 = intents.revision_hash(intents.intent_of(world.deployment, spec))
    records = _records(world)
    deployments = live_deployments(world)
    export = export_of(world, intents.export_key(spec))
    situation = Situation(
        world=world,
        spec=spec,
        hash8=hash8,
        key8=intents.export_key(spec),
        records=records,
        target=_target(world, spec, records, export),
        export=export,
        deployments=deployments,
        stable=None,
        replicas={},
    )
    situation = replace(situation, canary=_canary(situation))
    situation = replace(situation, stable=_stable(situation))
    situation = replace(situation, replicas=_replicas(situation))
    carrying = _carrying(situation)
    return _with_drains(situation, carrying) if carrying is not None else situation


def wanted_replicas(world: World, spec: LLMDeploymentSpec) -> int:
    """The autoscaler's number, where it may act, else the user's."""
    autoscaling = spec.autoscaling
    if spec.suspend:
        return 0
    if autoscaling is None or autoscaling.mode == "Advisory" or world.decision is None:
        return spec.replicas
    return world.decision.desired


def render_template(
    world: World, spec: LLMDeploymentSpec, hash8: str, artifact: Artifact
) -> Mapping[str, Any]:
    """The template as this operator renders it today."""
    return pod_template(Serving(world.deployment, spec, hash8, artifact, world.settings))


def live_deployments(world: World) -> dict[str, Manifest]:
    """Our live Deployments by revision."""
    found = {}
    for deployment in world.owned("Deployment"):
        hash8 = (deployment["metadata"].get("labels") or {}).get(labels.REVISION)
        if hash8 and deployment["metadata"]["name"] == names.revision(world.deployment.name, hash8):
            found[hash8] = deployment
    return found


def is_activator_slice(manifest: Manifest) -> bool:
    return (manifest["metadata"].get("labels") or {}).get(labels.ACTIVATOR) == "true"


def is_quota_exceeded(deployment: Manifest) -> bool:
    """Whether the API server makes no more pods because of a quota."""
    found = (deployment.get("status") or {}).get("conditions") or ()
    return any(
        condition["type"] == "ReplicaFailure"
        and condition["status"] == "True"
        and "exceeded quota" in str(condition.get("message"))
        for condition in found
    )


def count(deployment: Manifest, field: str) -> int:
    """A number of a Deployment's status."""
    return int((deployment.get("status") or {}).get(field) or 0)


def is_carrying(deployment: Manifest | None, wanted: int) -> bool:
    """Whether that Deployment has all the pods that are wanted, available, and knows it. It may
    have more: those that drain."""
    if deployment is None or count_of(deployment) < wanted:
        return False
    has_settled = is_observed(deployment) or is_shrinking(deployment)
    return has_settled and count(deployment, "availableReplicas") >= wanted


def is_shrinking(deployment: Manifest) -> bool:
    """Whether it has pods that are yet to be taken. Those that are not available go first, so what
    its status says of the others holds without its having seen its new size."""
    return count(deployment, "replicas") > count_of(deployment)


def is_observed(deployment: Manifest) -> bool:
    """Whether the Deployment's status speaks of its current spec."""
    generation: int = deployment["metadata"]["generation"]
    return count(deployment, "observedGeneration") >= generation


def _records(world: World) -> tuple[Revision, ...]:
    found = [revision_from_record(record) for record in world.owned("ControllerRevision")]
    return tuple(sorted(found, key=lambda revision: revision.number, reverse=True))


def _target(
    world: World, spec: LLMDeploymentSpec, records: tuple[Revision, ...], export: exports.Export
) -> Revision | None:
    intent = intents.intent_of(world.deployment, spec)
    hash8, key8 = intents.revision_hash(intent), intents.export_key(spec)
    newest = records[0].number if records else 0
    for record in records:
        if record.hash8 == hash8:
            return replace(record, number=newest if record.number == newest else newest + 1)
    artifact = _artifact(records, key8, export)
    if artifact is None:
        return None
    return Revision(
        hash8=hash8,
        number=newest + 1,
        intent=intent,
        export_key=key8,
        artifact=artifact,
        template=render_template(world, spec, hash8, artifact),
    )


def _artifact(records: tuple[Revision, ...], key8: str, export: exports.Export) -> Artifact | None:
    """A revision of the same source pins what its name resolved to; else the export's result."""
    for record in records:
        if record.export_key == key8:
            return record.artifact
    return export.artifact if isinstance(export, exports.Succeeded) else None


def _fleet(hash8: str, deployment: Manifest | None, records: tuple[Revision, ...]) -> Fleet:
    number = next((record.number for record in records if record.hash8 == hash8), -1)
    if deployment is None:
        return Fleet(hash8=hash8, number=number, wanted=0, available=0)
    wanted = int(deployment["spec"].get("replicas") or 0)
    # A Deployment that was just made smaller still counts pods that are on their way out.
    available = min(wanted, count(deployment, "availableReplicas"))
    return Fleet(hash8=hash8, number=number, wanted=wanted, available=available)


def _canary(situation: Situation) -> Canary | None:
    """None without an artifact: the old revisions carry on as they are."""
    if situation.target is None:
        return None
    canary = canary_of(
        situation.world,
        situation.spec,
        revision=situation.hash8,
        wanted=situation.wanted,
        fleet=situation.target_fleet,
    )
    if canary is None or canary.stable in situation.deployments:
        return canary
    # Somebody has deleted the stable one's Deployment: it is made again from what is on record.
    return canary if situation.record_of(canary.stable) is not None else None


def _stable(situation: Situation) -> str | None:
    """Carrying nothing proves nothing: scaled to zero, the one that once served stays stable. So
    does the one that a canary has not replaced yet, whatever the canary carries."""
    if situation.canary is not None and not situation.canary.is_over:
        return situation.canary.stable
    carries = is_carrying(situation.deployments.get(situation.hash8), situation.wanted)
    if carries and situation.wanted:
        return situation.hash8
    told = situation.world.deployment.status.get("stableRevision")
    if told in situation.deployments or told == situation.hash8:
        return str(told)
    serving = [fleet for fleet in situation.fleets.values() if fleet.available]
    best = max(serving, key=lambda fleet: (fleet.available, fleet.number), default=None)
    if best is not None:
        return best.hash8
    return situation.hash8 if carries else None


def _replicas(situation: Situation) -> Mapping[str, int]:
    old = [fleet for hash8, fleet in situation.fleets.items() if hash8 != situation.hash8]
    if situation.target is None:
        return without_target(replicas=situation.wanted, old=old, stable=situation.stable)
    canary = situation.canary
    if canary is not None and not canary.is_over:
        others = {fleet.hash8: 0 for fleet in old}
        return {**others, canary.stable: situation.wanted, canary.revision: canary.pods}
    wished = next_replicas(
        replicas=situation.wanted,
        surge=situation.spec.rollout.max_surge,
        target=situation.target_fleet,
        old=old,
        stable=situation.stable,
    )
    target = situation.deployments.get(situation.hash8)
    if target is None or is_observed(target):
        return wished
    # What the target has available is not known yet: until it is, nothing that serves goes.
    kept = {fleet.hash8: max(wished[fleet.hash8], fleet.wanted) for fleet in old}
    return {**wished, **kept}


def _carrying(situation: Situation) -> str | None:
    """A model that is exported for the first time, or that never starts, carries nothing."""
    target, stable = situation.hash8, situation.stable
    if situation.canary is not None and not situation.canary.is_over:
        stable = situation.canary.stable
        return stable if stable in situation.deployments else None
    if any(map(pods.has_been_ready, situation.pods_of(target))) or stable is None:
        return target if target in situation.deployments else None
    return next((hash8 for hash8 in (stable, target) if hash8 in situation.deployments), None)


def _with_drains(situation: Situation, carrying: str) -> Situation:
    """Pods of the carrying revision go one by one, as they have drained."""
    live = count_of(situation.deployments[carrying])
    goal = _goal(situation, carrying, situation.replicas[carrying])
    shrinking = shrink(_candidates(situation, carrying), goal)
    replicas = {**situation.replicas, carrying: max(goal, min(live, shrinking.replicas))}
    return replace(situation, replicas=replicas, carrying=carrying, shrinking=shrinking)


def _goal(situation: Situation, carrying: str, wished: int) -> int:
    """Pods of that revision, with those that stand in for pods on nodes that are being emptied.

    The last pod stays until the activator is in the path.
    """
    live = count_of(situation.deployments[carrying])
    if wished == 0 and situation.is_scaled_to_zero and not _has_activator(situation):
        return min(1, live)
    if any(fleet.wanted for hash8, fleet in situation.fleets.items() if hash8 != carrying):
        return wished
    there = list(situation.pods_of(carrying))
    leaving = [pod for pod in there if _is_on_leaving_node(situation, pod)]
    staying = [pod for pod in there if pod not in leaving and pods.is_ready(pod)]
    return wished + max(0, min(len(leaving), wished - len(staying)))


def _has_activator(situation: Situation) -> bool:
    """Whether our slice of the Service is there and names an activator."""
    name = names.activator_slice(names.service(situation.world.deployment.name))
    live = situation.world.child("EndpointSlice", name)
    return live is not None and situation.world.owns(live) and bool(live.get("endpoints"))


def count_of(deployment: Manifest | None) -> int:
    """`spec.replicas` of a Deployment that may not be there."""
    return int(deployment["spec"].get("replicas") or 0) if deployment is not None else 0


def _is_on_leaving_node(situation: Situation, pod: Manifest) -> bool:
    return pods.node_of(pod) in situation.world.leaving_nodes


def _candidates(situation: Situation, carrying: str) -> list[Candidate]:
    return [_candidate(situation, pod) for pod in situation.pods_of(carrying)]


def _candidate(situation: Situation, pod: Manifest) -> Candidate:
    world, uid = situation.world, uid_of(pod)
    silence = world.silences.get(uid)
    return Candidate(
        uid=uid,
        is_ready=pods.is_ready(pod),
        has_started=pods.has_been_ready(pod),
        is_on_leaving_node=_is_on_leaving_node(situation, pod),
        load=world.loads.get(uid),
        is_awaited=silence is not None and silence.is_brief,
        cost=pods.deletion_cost(pod),
        age_seconds=pods.age(pod, world.now),
    )
