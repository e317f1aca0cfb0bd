"""From a machine without a cluster, or with any state of one, to the cluster that is wanted."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from llm_cluster import (
    addons,
    build,
    certificates,
    cgroups,
    host,
    images,
    iptables,
    kubeconfig,
    launch,
    network,
    pins,
    process,
    record,
    survey,
    sysctls,
    teardown,
)
from llm_cluster.errors import ClusterError
from llm_cluster.layout import CGROUP, checkout, is_ci
from llm_cluster.ownership import Action, Decision, Wanted, decide
from llm_cluster.record import Options, Record
from llm_cluster.site import Site
from llm_cluster.waiting import wait_until

_ON_REQUEST = {"kwok", "metrics-server"}
_FOR_TESTS_ALONE = {"gateway-api", "traefik", "xds-client"}
"""Pinned and built like the cluster's programs, but no part of it."""
_START_SECONDS = 90.0


def up(site: Site, options: Options) -> None:
    """Leaves a healthy cluster with ``options`` behind, shared or new. Raises ClusterError."""
    host.check(site.layout)
    host.install_packages(host.PACKAGES, site.progress)
    if _decision(site).action is not Action.REUSE:
        prepare(site, options)
    with record.machine_lock(site.layout.lock):
        decision = _decision(site)
        site.progress.say(decision.reason)
        if decision.action is Action.REPLACE:
            take_down(site)
        if decision.action is not Action.REUSE:
            _start(site, options)
        _extend(site, options)


def take_down(site: Site, what: str = "the old cluster") -> None:
    """Removes whatever of a cluster is on the machine."""
    try:
        known = record.load(site.layout.run)
    except ClusterError:
        known = None
    with site.progress.step(f"removing {what}"):
        teardown.remove(site.layout, known)


def prepare(site: Site, options: Options) -> None:
    """Builds what a start needs: programs and the images made of them."""
    wanted = {spec.name for spec in pins.GROUPS} - _ON_REQUEST - _FOR_TESTS_ALONE
    wanted |= {name for name, asked in _requested(options).items() if asked}
    build.build(site.programs, site.cache, site.progress, wanted)
    addons.image_archives(site, options)


def _requested(options: Options) -> dict[str, bool]:
    return {"kwok": options.kwok, "metrics-server": options.metrics}


def _decision(site: Site) -> Decision:
    wanted = Wanted(str(checkout()), site.fingerprint, is_ci())
    return decide(survey.find(site), wanted)


def _start(site: Site, options: Options) -> None:
    network.check_free(site.layout)
    host.check_ports(site.layout)
    iptables.check_free()
    with site.progress.step("preparing network, cgroups and certificates"):
        _prepare_machine(site, options)
    launch.start(site, ["etcd", "kube-apiserver", *_per_node(site, "containerd")])
    with ThreadPoolExecutor(1) as background:
        loading = background.submit(_load_images, site, options)
        with site.progress.step("starting etcd and the API server"):
            _wait_for_api(site)
        launch.start(site, ["kube-controller-manager", "kube-scheduler", "kube-proxy"])
        addons.apply(site, options)
        with site.progress.step("importing the cluster's own images"):
            loading.result()
    launch.start(site, _per_node(site, "kubelet"))
    with site.progress.step("waiting for both nodes"):
        _wait_for_nodes(site)
    with site.progress.step("waiting for DNS, volumes and the registry"):
        addons.wait_for_base(site)
    record.save(site.layout.run, replace(launch.recorded(site.layout), complete=True))


def _per_node(site: Site, program: str) -> list[str]:
    return [f"{program}-{node.name}" for node in site.layout.nodes]


def _prepare_machine(site: Site, options: Options) -> None:
    """The record comes first: from here on there is something to undo."""
    layout = site.layout
    fresh = Record(
        checkout=str(checkout()),
        fingerprint=site.fingerprint,
        boot=process.boot_id(),
        options=Options(metrics=options.metrics),
        sysctls=sysctls.current(),
        tables=tuple(sorted(iptables.tables())),
        created=teardown.absent_shared_folders(),
    )
    record.save(layout.run, fresh)
    network.create(layout)
    sysctls.set_needed()
    iptables.keep_packets_here()
    cgroups.create(layout.cgroups, CGROUP, [node.name for node in layout.nodes])
    certificates.issue_all(layout)
    _write_files(site)


def _write_files(site: Site) -> None:
    layout = site.layout
    layout.logs.mkdir(parents=True, exist_ok=True)
    layout.tools.mkdir(parents=True, exist_ok=True)
    for node in layout.nodes:
        (node.run / "s").mkdir(parents=True, exist_ok=True)
        node.kubelet_root.mkdir(parents=True, exist_ok=True)
    for path, text in site.blueprint.files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    layout.kubeconfig.touch(mode=0o600)
    layout.kubeconfig.write_text(kubeconfig.for_user(layout))
    for name, program in _tools(site).items():
        (layout.tools / name).symlink_to(program)


def _tools(site: Site) -> dict[str, Path]:
    return {
        "kubectl": site.programs.path("kubernetes", "kubectl"),
        "helm": site.programs.path("helm"),
        "grpcurl": site.programs.path("grpcurl"),
        "ctr": site.ctr,
    }


def _load_images(site: Site, options: Options) -> None:
    archives = addons.image_archives(site, options)
    for node in site.layout.nodes:
        images.wait_for_runtime(node, site.ctr)
    images.load(site.layout, site.ctr, archives)


def _wait_for_api(site: Site) -> None:
    def is_up() -> bool:
        _check_alive(site)
        return site.kubectl.is_ready()

    wait_until("a ready API server", is_up, _START_SECONDS, _logs(site))


def _wait_for_nodes(site: Site) -> None:
    expected = {node.name for node in site.layout.nodes}

    def are_ready() -> bool:
        _check_alive(site)
        return expected <= set(site.kubectl.ready_nodes())

    wait_until("both nodes Ready", are_ready, _START_SECONDS, _logs(site))


def _check_alive(site: Site) -> None:
    """A process that ended tells more, and sooner, than a condition that never comes."""
    dead = record.dead_processes(launch.recorded(site.layout))
    if dead:
        log = site.layout.logs / f"{dead[0]}.log"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ClusterError(f"{dead[0]} ended while the cluster started; its last words:\n{tail}")


def _logs(site: Site) -> str:
    return f"The logs are in {site.layout.logs}."


def _extend(site: Site, options: Options) -> None:
    """Adds what is asked for beyond the base; asking again changes nothing."""
    before = launch.recorded(site.layout).options
    if options.metrics and not before.metrics:
        prepare(site, options)
        images.load(site.layout, site.ctr, addons.image_archives(site, options))
        addons.apply(site, options)
    if options.metrics:
        with site.progress.step("waiting for metrics of both nodes"):
            addons.wait_for_metrics(site)
    if options.kwok:
        prepare(site, options)
        addons.add_kwok(site)
    if options.gpus is not None:
        addons.set_gpus(site, options.gpus)
    merged = Options(
        gpus=before.gpus if options.gpus is None else options.gpus,
        kwok=options.kwok or before.kwok,
        metrics=options.metrics or before.metrics,
    )
    record.save(site.layout.run, replace(launch.recorded(site.layout), options=merged))
