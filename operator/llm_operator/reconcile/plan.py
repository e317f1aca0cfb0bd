"""World -> Plan: every decision of a reconcile. Pure: the same World gives the same Plan, and a
converged one gives an empty Plan.

The order of writes is fixed: what pods need first (identity, keys, network rules), then the export,
the revision's record, Services, workloads (the new revision before the old ones), the disruption
budget, the route to the Services, and deletions last. A kill between any two leaves a World that
leads to the same end.
"""

from collections.abc import Iterator
from datetime import datetime

from llm_operator.api.llmdeployment import LLMDeploymentSpec
from llm_operator.autoscale.signals import FIRST_WORD_SECONDS
from llm_operator.reconcile import cleanup, events, pods, status
from llm_operator.reconcile import export_state as exports
from llm_operator.reconcile.actions import Apply, Cost, Drain, Plan, Undrain, Write
from llm_operator.reconcile.difference import is_satisfied, stamped
from llm_operator.reconcile.policies import Refusal, check_ownership, check_spec
from llm_operator.reconcile.situation import Situation, assess
from llm_operator.reconcile.world import Manifest, World, uid_of
from llm_operator.render import names
from llm_operator.render.activation import activator_slices
from llm_operator.render.control_auth import control_auth
from llm_operator.render.controller_revision import controller_revision, renumbered
from llm_operator.render.deployment import deployment
from llm_operator.render.disruption_budget import disruption_budget
from llm_operator.render.export_job import Export, export_job
from llm_operator.render.grpc_route import grpc_route
from llm_operator.render.network_policy import export_network_policy, network_policy
from llm_operator.render.service import headless_service, revision_service, service
from llm_operator.render.service_account import service_account

POLL_SECONDS = 2.0
"""How often a running export is asked for its progress."""

PENDING_SECONDS = 15.0
"""How often to look at what may stay as it is for long: an export pod that does not start, whose
events come by themselves, or a share that pods' counters do not show."""

CAPACITY_SECONDS = 10.0
"""How often to ask what a cluster autoscaler says of pods without a node: its answer is an Event,
and those are not watched."""

COUNT_SECONDS = 1.0
"""How often to look whether the pods' counters show the shares that clients have accepted."""

REMOVAL_SECONDS = 5.0
"""How soon to look again for what the garbage collector is about to remove."""


def plan(world: World) -> Plan:
    """What to write for this LLMDeployment now."""
    if world.deployment.is_being_deleted:
        return Plan()
    spec = world.deployment.spec
    refusal = check_spec(world)
    if spec is None or refusal is not None:
        return _refused(world, refusal)
    return _accepted(world, spec)


def _accepted(world: World, spec: LLMDeploymentSpec) -> Plan:
    situation = assess(world, spec)
    wanted = tuple(_wanted(situation))
    if (foreign := check_ownership(world, wanted)) is not None:
        return _refused(world, foreign)
    # A pod that comes back does so before another one is made for the demand that returned.
    writes: tuple[Write, ...] = (
        *_undrains(situation),
        *_applies(world, wanted),
        *_pod_writes(situation),
        *cleanup.deletions(situation),
    )
    after = status.of_situation(situation)
    return Plan(
        writes=writes,
        status=status.patch(world.deployment.status, after),
        events=events.of_transition(world, after, writes),
        requeue_after=_requeue_after(situation),
    )


def _refused(world: World, refusal: Refusal | None) -> Plan:
    if refusal is None:
        return Plan()
    after = status.of_refusal(world, refusal)
    return Plan(
        status=status.patch(world.deployment.status, after),
        events=events.of_transition(world, after, ()),
        requeue_after=REMOVAL_SECONDS if refusal.status == "Unknown" else None,
    )


def _applies(world: World, wanted: tuple[Manifest, ...]) -> Iterator[Apply]:
    """Those of the wanted children that are missing or say something else."""
    for manifest in wanted:
        marked = stamped(manifest)
        live = world.child(manifest["kind"], manifest["metadata"]["name"])
        if live is None:
            yield Apply(marked, uid=None)
        elif not is_satisfied(marked, live):
            uid = uid_of(live)
            yield Apply({**marked, "metadata": {**marked["metadata"], "uid": uid}}, uid=uid)


def _wanted(situation: Situation) -> Iterator[Manifest]:
    """The children that there should be, in the order of their writes. An export Job that exists
    and a revision's record are immutable: they are only ever made (or renumbered)."""
    yield from _surroundings(situation)
    if cleanup.is_export_due(situation):
        yield _job(situation)
    yield from _record(situation)
    yield from _services(situation)
    yield from _activator_slices(situation)
    yield from _deployments(situation)
    yield disruption_budget(
        situation.world.deployment, situation.spec.disruption, is_held=_is_held(situation)
    )
    yield from _grpc_route(situation)


def _surroundings(situation: Situation) -> Iterator[Manifest]:
    world, owner = situation.world, situation.world.deployment
    yield service_account(owner)
    if world.control_authority is not None:
        yield control_auth(owner, world.settings, world.control_authority)
    yield network_policy(owner, world.settings)
    yield export_network_policy(owner, world.settings)


def _job(situation: Situation) -> Manifest:
    world = situation.world
    attempt = status.failed_attempts(situation) + 1
    return export_job(Export(world.deployment, situation.spec, world.settings, attempt))


def _record(situation: Situation) -> Iterator[Manifest]:
    target, owner = situation.target, situation.world.deployment
    if target is None:
        return
    made = controller_revision(owner, target)
    live = situation.world.child("ControllerRevision", made["metadata"]["name"])
    if live is None or not situation.world.owns(live):
        yield made
    elif live["revision"] != target.number:
        yield renumbered(owner, live, target)


def _services(situation: Situation) -> Iterator[Manifest]:
    owner, spec = situation.world.deployment, situation.spec.service
    activation = situation.world.activation
    yield service(owner, spec, activation.port if activation is not None else None)
    yield headless_service(owner, spec)
    for hash8 in _serving(situation):
        yield revision_service(owner, spec, hash8)


def _activator_slices(situation: Situation) -> Iterator[Manifest]:
    """Without a ready activator there is nothing to point to; what is there stays."""
    world, autoscaling = situation.world, situation.spec.autoscaling
    activation = world.activation
    if autoscaling is None or activation is None or not activation.addresses:
        return
    if situation.is_activator_in_path:
        name = world.deployment.name
        called = (situation.carrying, situation.hash8)
        revisions = [hash8 for hash8 in _serving(situation) if hash8 in called]
        services = [names.service(name), *(names.revision(name, hash8) for hash8 in revisions)]
        yield from activator_slices(
            world.deployment, autoscaling.scale_to_zero, activation, services
        )


def _grpc_route(situation: Situation) -> Iterator[Manifest]:
    """To Services that are there: it comes after they were made, and before one of them goes."""
    gateway, world = situation.spec.routing.gateway, situation.world
    if gateway is None or not world.knows_routes:
        return
    called = set(_serving(situation))
    shares = {hash8: share for hash8, share in situation.shares.items() if hash8 in called}
    yield grpc_route(world.deployment, gateway, situation.spec.service.port, shares)


def _is_held(situation: Situation) -> bool:
    """A single pod is nobody's to evict until its replacement serves, or that takes too long. Who
    does not see nodes being emptied replaces nothing, and holding would stop them for ever."""
    is_replaced = situation.world.settings.watches_nodes and situation.wanted == 1
    return is_replaced and all(left > 0 for left in _patience_left(situation))


def _patience_left(situation: Situation) -> Iterator[float]:
    """Seconds that pods on nodes that are being emptied may still wait for replacements."""
    world, limit = situation.world, situation.spec.rollout.capacity_timeout_seconds
    nodes = {pods.node_of(pod) for pod in situation.pods_of()}
    for node, cordoned in world.leaving_nodes.items():
        if node in nodes:
            yield limit - (world.now - cordoned).total_seconds()


def _undrains(situation: Situation) -> Iterator[Undrain]:
    if situation.shrinking is None:
        return
    for pod in situation.pods_of(situation.carrying):
        if uid_of(pod) in situation.shrinking.undrain:
            yield Undrain(str(pod["metadata"]["name"]), _address_of(pod))


def _pod_writes(situation: Situation) -> Iterator[Write]:
    """Drains and deletion costs of the carrying revision's pods."""
    shrinking = situation.shrinking
    if shrinking is None:
        return
    timeout = situation.spec.drain.timeout_seconds
    for pod in situation.pods_of(situation.carrying):
        metadata = pod["metadata"]
        uid, name = uid_of(pod), str(metadata["name"])
        if uid in shrinking.costs:
            yield Cost(str(metadata["namespace"]), name, uid, shrinking.costs[uid])
        if uid in shrinking.drain:
            yield Drain(name, _address_of(pod), timeout)


def _address_of(pod: Manifest) -> str:
    return str((pod.get("status") or {}).get("podIP"))


def _deployments(situation: Situation) -> Iterator[Manifest]:
    """The new revision first: what grows comes before what shrinks."""
    for hash8 in _serving(situation):
        record = situation.target if hash8 == situation.hash8 else situation.record_of(hash8)
        if record is not None:
            yield deployment(
                situation.world.deployment,
                record,
                replicas=situation.replicas[hash8],
                progress_deadline_seconds=situation.spec.rollout.progress_deadline_seconds,
            )


def _serving(situation: Situation) -> list[str]:
    """Revisions that have a Deployment or get one, and keep it after this plan."""
    gone = cleanup.ended_revisions(situation)
    there = {*situation.deployments, *situation.replicas}
    old = [h for h in there if h != situation.hash8 and h not in gone]
    return [situation.hash8, *sorted(old)] if situation.target is not None else sorted(old)


def _requeue_after(situation: Situation) -> float | None:
    """Seconds until time alone changes something: an export (a suspended one is not tried again), a
    report that may be overdue then, what a cluster autoscaler says of pods without a node."""
    return min(_later_looks(situation), default=None)


def _looks_at_export(situation: Situation) -> Iterator[float]:
    match situation.export:
        case exports.Running(step=step, trouble=trouble):
            yield POLL_SECONDS if step is not None and trouble is None else PENDING_SECONDS
        case exports.Failed(retry_at=datetime() as retry_at) if not situation.spec.suspend:
            yield max(0.0, (retry_at - situation.world.now).total_seconds())


def _later_looks(situation: Situation) -> Iterator[float]:
    if situation.target is None:
        yield from _looks_at_export(situation)
    shrinking = situation.shrinking
    if shrinking is not None and shrinking.is_waiting:
        yield FIRST_WORD_SECONDS
    if situation.wanted == 1:
        yield from (left for left in _patience_left(situation) if left > 0)
    canary = situation.canary
    if canary is not None and canary.seconds_left is not None:
        yield canary.seconds_left
    if canary is not None and situation.world.settings.has_xds and not canary.is_settled:
        is_counting = canary.pause is None or situation.world.clients.counted is None
        yield COUNT_SECONDS if is_counting else PENDING_SECONDS
    is_scaled = situation.spec.autoscaling is not None
    if is_scaled and any(map(pods.unschedulable_message, situation.pods_of())):
        yield CAPACITY_SECONDS
