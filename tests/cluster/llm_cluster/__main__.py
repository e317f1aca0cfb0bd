"""The command line: ``python -m llm_cluster COMMAND``."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from llm_cluster import build, faults, images, launch, pins, record, survey, teardown
from llm_cluster.errors import ClusterError
from llm_cluster.layout import node_named
from llm_cluster.progress import Progress
from llm_cluster.record import Options
from llm_cluster.site import Site, open_site
from llm_cluster.up import take_down, up

Handler = Callable[[Site, argparse.Namespace], None]


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, or another after a message on stderr."""
    chosen = _parser().parse_args(arguments)
    progress = Progress()
    handler: Handler = chosen.handler
    try:
        handler(open_site(progress), chosen)
    except ClusterError as failed:
        progress.say(f"error: {failed}")
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted: the next `up` or `down` removes what was started")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llm_cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _up_parser(commands.add_parser("up", help="start, share or replace the cluster"))
    _add(commands, "down", _down, "remove the cluster without a trace")
    _add(commands, "env", _env, "print export lines for KUBECONFIG and PATH")
    _add(commands, "status", _status, "tell what is running, and whose it is")
    _add(commands, "build", _build, "build all programs into the cache, start nothing")
    loading = _add(commands, "load", _load, "import image archives into both nodes")
    loading.add_argument("archives", nargs="+", type=Path, metavar="IMAGE_ARCHIVE")
    stopping = _add(commands, "stop", _stop, "SIGKILL one process (see status), for fault tests")
    stopping.add_argument("process")
    starting = _add(commands, "start", _start, "start a stopped process again")
    starting.add_argument("process")
    for name, handler, text in (
        ("lose", _lose, "SIGKILL a node's kubelet, runtime and containers, as a power cut would"),
        ("restore", _restore, "start a lost node again"),
    ):
        _add(commands, name, handler, text).add_argument("node", choices=["node1", "node2"])
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    handler: Handler,
    text: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(handler=handler)
    return parser


def _up_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(handler=_up)
    parser.add_argument("--gpus", type=int, metavar="N", help="nvidia.com/gpu on each node")
    parser.add_argument("--kwok", action="store_true", help="run KWOK for pretended nodes")
    parser.add_argument("--metrics", action="store_true", help="run metrics-server for a real HPA")


def _up(site: Site, chosen: argparse.Namespace) -> None:
    started = time.monotonic()
    up(site, Options(chosen.gpus, chosen.kwok, chosen.metrics))
    site.progress.say(f"the cluster is up after {time.monotonic() - started:.1f} s")


def _down(site: Site, _: argparse.Namespace) -> None:
    with record.machine_lock(site.layout.lock):
        found = survey.find(site)
        if found.fingerprint is None and not found.leftovers:
            site.progress.say("nothing to remove: no cluster is on this machine")
            return
        owner = f"the cluster that {found.checkout} started"
        take_down(site, owner if found.checkout else "what a killed run has left")


def _env(site: Site, _: argparse.Namespace) -> None:
    launch.recorded(site.layout)
    print(f"export KUBECONFIG={site.layout.kubeconfig}")
    print(f'export PATH="{site.layout.tools}:$PATH"')


def _status(site: Site, _: argparse.Namespace) -> None:
    known = record.load(site.layout.run)
    if known is None:
        left = teardown.leftovers(site.layout)
        print("no cluster" + (f"; left behind: {', '.join(left)}" if left else ""))
        return
    print(f"started by   {known.checkout}")
    print(f"health       {survey.trouble(site, known) or 'healthy'}")
    same = known.fingerprint == site.fingerprint
    print(f"pins         {'those of this checkout' if same else 'others than this checkout has'}")
    print(f"options      {known.options}")
    alive = launch.running(site.layout)
    for name, running in known.processes.items():
        print(f"{name:<24} {running.identity.pid if name in alive else 'dead':<8} {running.log}")


def _build(site: Site, _: argparse.Namespace) -> None:
    names = {spec.name for spec in pins.GROUPS}
    build.build(site.programs, site.cache, site.progress, names)


def _load(site: Site, chosen: argparse.Namespace) -> None:
    launch.recorded(site.layout)
    with site.progress.step(f"importing {len(chosen.archives)} image archive(s) into both nodes"):
        images.load(site.layout, site.layout.tools / "ctr", chosen.archives)


def _stop(site: Site, chosen: argparse.Namespace) -> None:
    launch.stop(site.layout, chosen.process)


def _start(site: Site, chosen: argparse.Namespace) -> None:
    launch.start_again(site.layout, chosen.process)


def _lose(site: Site, chosen: argparse.Namespace) -> None:
    faults.lose(site.layout, node_named(site.layout, chosen.node))


def _restore(site: Site, chosen: argparse.Namespace) -> None:
    faults.restore(site.layout, node_named(site.layout, chosen.node))


if __name__ == "__main__":
    sys.exit(main())
