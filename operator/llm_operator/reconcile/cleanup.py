"""What has to go: drained revisions, old records, exports that nobody uses or that are to be tried
again. Pure."""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from llm_operator.reconcile import export_state as exports
from llm_operator.reconcile import pods
from llm_operator.reconcile.actions import Delete
from llm_operator.reconcile.situation import Situation, count, is_activator_slice
from llm_operator.reconcile.world import Manifest, uid_of
from llm_operator.render import labels, names
from llm_operator.render.export_job import SETTINGS_HASH
from llm_operator.render.grpc_route import KIND as GRPC_ROUTE
from llm_operator.render.revision import export_settings_hash


def deletions(situation: Situation) -> Iterator[Delete]:
    """Everything to delete, workloads before what they are made from."""
    found = chain(
        _routes(situation),
        _deployments(situation),
        _services(situation),
        _activator_slices(situation),
        _records(situation),
        _jobs(situation),
    )
    return (_delete(manifest) for manifest in found if not _is_going(manifest))


def ended_revisions(situation: Situation) -> frozenset[str]:
    """Old revisions whose last pod has ended, so that their Deployment can go."""
    return frozenset(
        hash8
        for hash8 in situation.deployments
        if hash8 != situation.hash8 and _has_ended(situation, hash8)
    )


def is_export_due(situation: Situation) -> bool:
    """Whether an export Job is to be made now."""
    is_missing = isinstance(situation.export, exports.Absent)
    return situation.target is None and is_missing and not situation.spec.suspend


def _has_ended(situation: Situation, hash8: str) -> bool:
    if situation.replicas[hash8]:
        return False
    if situation.record_of(hash8) is None:
        return True  # nothing to scale it down with: deleting it drains its pods the same way
    if hash8 == situation.stable:
        return False  # at zero nobody knows yet whether the new one serves
    deployment = situation.deployments[hash8]
    is_observed = count(deployment, "observedGeneration") >= deployment["metadata"]["generation"]
    is_empty = not deployment["spec"].get("replicas") and not count(deployment, "replicas")
    has_pods = any(pods.is_runtime_pod(pod, hash8) for pod in situation.world.pods)
    return is_observed and is_empty and not has_pods


def _routes(situation: Situation) -> Iterator[Manifest]:
    """The route, once no Gateway is asked for."""
    is_wanted = situation.spec.routing.gateway is not None
    return iter(()) if is_wanted else situation.world.owned(GRPC_ROUTE)


def _deployments(situation: Situation) -> Iterator[Manifest]:
    return (situation.deployments[hash8] for hash8 in sorted(ended_revisions(situation)))


def _services(situation: Situation) -> Iterator[Manifest]:
    """Services of revisions that have no Deployment (any more)."""
    kept = set(situation.deployments) - ended_revisions(situation) | {situation.hash8}
    for service in situation.world.owned("Service"):
        hash8 = (service["metadata"].get("labels") or {}).get(labels.REVISION)
        if hash8 is not None and hash8 not in kept:
            yield service


def _activator_slices(situation: Situation) -> Iterator[Manifest]:
    """All once a pod serves again; before that, those of Services that go."""
    gone = {str(service["metadata"]["name"]) for service in _services(situation)}
    for found in situation.world.owned("EndpointSlice"):
        service = (found["metadata"].get("labels") or {}).get(labels.SERVICE)
        if is_activator_slice(found) and (not situation.is_activator_in_path or service in gone):
            yield found


def _records(situation: Situation) -> Iterator[Manifest]:
    """Records beyond the history limit; what serves or is asked for does not count as history."""
    used = {*situation.deployments, situation.hash8}
    history = [record for record in situation.records if record.hash8 not in used]
    for record in history[situation.spec.rollout.revision_history_limit :]:
        name = names.revision(situation.world.deployment.name, record.hash8)
        if (manifest := situation.world.child("ControllerRevision", name)) is not None:
            yield manifest


def _jobs(situation: Situation) -> Iterator[Manifest]:
    used = {record.export_key for record in situation.records} | {situation.key8}
    name = situation.world.deployment.name
    kept = {names.export_job(name, key8) for key8 in used}
    for job in situation.world.owned("Job"):
        job_name = job["metadata"]["name"]
        is_current = job_name == names.export_job(name, situation.key8)
        if job_name not in kept or (is_current and _is_to_be_replaced(situation, job)):
            yield job


def _is_to_be_replaced(situation: Situation, job: Manifest) -> bool:
    """A Job that is tried again, that the user asked for with other settings, or that another
    version of the exporter may get through with."""
    if situation.target is not None or isinstance(situation.export, exports.Succeeded):
        return False
    annotations = job["metadata"].get("annotations") or {}
    if annotations.get(SETTINGS_HASH) != export_settings_hash(situation.spec):
        return True
    if situation.spec.suspend or not _is_stuck(situation.export):
        return False
    return _is_retry_due(situation) or _image_of(job) != situation.world.settings.exporter_image


def _is_stuck(export: exports.Export) -> bool:
    match export:
        case exports.Failed():
            return True
        case exports.Running(trouble=trouble):
            return trouble is not None
    return False


def _is_retry_due(situation: Situation) -> bool:
    match situation.export:
        case exports.Failed(retry_at=datetime() as retry_at):
            return situation.world.now >= retry_at
    return False


def _image_of(job: Manifest) -> str:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def _is_going(manifest: Manifest) -> bool:
    return "deletionTimestamp" in manifest["metadata"]


def _delete(manifest: Manifest) -> Delete:
    metadata = manifest["metadata"]
    return Delete(
        api_version=manifest["apiVersion"],
        kind=manifest["kind"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=uid_of(manifest),
    )
