"""What runs on the cluster: DNS, volumes, registry; metrics, KWOK and pretended GPUs on request."""

import json
from pathlib import Path

from llm_cluster import images, launch
from llm_cluster.errors import ClusterError, CommandError
from llm_cluster.record import Options
from llm_cluster.site import Site
from llm_cluster.waiting import wait_until

_ALWAYS = ("coredns", "storage", "registry")
_DEPLOYMENTS = ("coredns", "local-path-provisioner", "registry")
_READY_SECONDS = 120


def image_archives(site: Site, options: Options) -> list[Path]:
    """The image archives that the addons need, built when they are not in the cache yet."""
    names = ["pause", *_DEPLOYMENTS, *(["metrics-server"] if options.metrics else [])]
    archives = [images.program_image(site.programs, site.cache, name) for name in names]
    return [*archives, images.busybox_image(site.cache)]


def apply(site: Site, options: Options) -> None:
    """Applies what every cluster has, and metrics-server if asked for. Waits for nothing."""
    names = [*_ALWAYS, *(["metrics"] if options.metrics else [])]
    site.kubectl.apply("\n---\n".join(site.blueprint.manifests[name] for name in names))


def wait_for_base(site: Site) -> None:
    """Returns when DNS, volumes and the registry are available."""
    _wait_available(site, _DEPLOYMENTS)


def _wait_available(site: Site, names: tuple[str, ...]) -> None:
    targets = [f"deployment/{name}" for name in names]
    limit = f"--timeout={_READY_SECONDS}s"
    condition = "--for=condition=Available"
    try:
        site.kubectl("-n", "kube-system", "wait", condition, limit, *targets, timeout=150)
    except CommandError as late:
        pods = site.kubectl("-n", "kube-system", "get", "pods", "-o", "wide")
        raise ClusterError(f"{late}\n{pods}\nSee `kubectl -n kube-system logs POD`.") from late


def wait_for_metrics(site: Site) -> None:
    """Returns when the aggregated API gives figures of both nodes."""
    _wait_available(site, ("metrics-server",))
    hint = "See `kubectl -n kube-system logs deployment/metrics-server`."
    wait_until("metrics of both nodes", lambda: _has_metrics(site), _READY_SECONDS, hint)


def _has_metrics(site: Site) -> bool:
    reply = site.kubectl.try_raw("/apis/metrics.k8s.io/v1beta1/nodes")
    return reply is not None and len(json.loads(reply)["items"]) == len(site.layout.nodes)


def add_kwok(site: Site) -> None:
    """KWOK as a process of the machine: nodes with its annotation come alive."""
    if "kwok" not in launch.running(site.layout):
        launch.start(site, ["kwok"])


def set_gpus(site: Site, count: int) -> None:
    """Both nodes offer ``count`` nvidia.com/gpu: the scheduler counts, nothing else is there."""
    gpu = {"nvidia.com/gpu": str(count) if count else None}
    patch = json.dumps({"status": {"capacity": gpu, "allocatable": gpu}})
    for node in site.layout.nodes:
        site.kubectl("patch", "node", node.name, "--subresource=status", "-p", patch)
