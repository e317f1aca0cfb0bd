"""Bridges and routes: one bridge for each node, and no way out for any cluster address.

Service and pod addresses are private ranges that a default route would carry away. So the Service
network is routed to the first bridge (where kube-proxy's rewriting finds the pod, and without it
the packet dies) and the whole pod range is blackholed; the bridges' narrower routes win. So does
that of KWOK's pods, which leads back to this machine: a test can answer for pods that pretend.
"""

import json
from dataclasses import dataclass

from llm_cluster.command import run, succeeds
from llm_cluster.errors import ClusterError
from llm_cluster.layout import KWOK_POD_NETWORK, POD_NETWORK, SERVICE_NETWORK, Layout
from llm_cluster.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Route:
    """A route: its destination and what ``ip route`` calls it with."""

    destination: str
    command: tuple[str, ...]


def routes(layout: Layout) -> tuple[Route, ...]:
    """The routes that keep the cluster's packets on the machine."""
    bridge = layout.nodes[0].bridge
    return (
        Route(SERVICE_NETWORK, (SERVICE_NETWORK, "dev", bridge)),
        Route(POD_NETWORK, ("blackhole", POD_NETWORK)),
        Route(KWOK_POD_NETWORK, ("local", KWOK_POD_NETWORK, "dev", "lo")),
    )


def create(layout: Layout) -> None:
    """The routes come right after the first bridge, before anything can send."""
    for node in layout.nodes:
        run(["ip", "link", "add", node.bridge, "type", "bridge"])
        run(["ip", "address", "add", f"{node.address}/24", "dev", node.bridge])
        run(["ip", "link", "set", node.bridge, "up"])
    for route in routes(layout):
        run(["ip", "route", "add", *route.command])


def existing_bridges(layout: Layout) -> list[str]:
    """Those of our bridges that are there."""
    bridges = [node.bridge for node in layout.nodes]
    return [name for name in bridges if succeeds(["ip", "link", "show", name])]


def remove(layout: Layout) -> None:
    """Removes what is there of bridges, routes and pods' interfaces."""
    wait_until("removal of the pods' interfaces", lambda: not _pod_links(layout), 10.0)
    present = run(["ip", "route", "show", "table", "all"])
    for route in routes(layout):
        if any(line.startswith(" ".join(route.command)) for line in present.splitlines()):
            run(["ip", "route", "delete", *route.command])
    for name in existing_bridges(layout):
        run(["ip", "link", "delete", name])


def _pod_links(layout: Layout) -> list[str]:
    """Pods' interfaces still there, after trying to delete them.

    They go with their namespaces, but only when the kernel comes to it; so they are deleted by
    name, and losing the race against the kernel is no failure.
    """
    for bridge in existing_bridges(layout):
        for name in _ports(bridge):
            succeeds(["ip", "link", "delete", name])
    return [name for bridge in existing_bridges(layout) for name in _ports(bridge)]


def _ports(bridge: str) -> list[str]:
    listed = json.loads(run(["ip", "-json", "link", "show", "master", bridge]) or "[]")
    return [str(link["ifname"]) for link in listed]


def check_free(layout: Layout) -> None:
    """Raises ClusterError when one of the cluster's networks is in use by something else."""
    ours = {node.bridge for node in layout.nodes}
    listing = json.loads(run(["ip", "-json", "route", "show", "table", "all"]) or "[]")
    for route in listing:
        destination = str(route.get("dst", ""))
        if destination.startswith(("10.96.", "10.244.")) and route.get("dev") not in ours:
            raise ClusterError(
                f"the machine already routes {destination} (device {route.get('dev')}), which the "
                f"cluster needs for {SERVICE_NETWORK} and {POD_NETWORK}: stop what uses it "
                "(another Kubernetes?), or name an existing cluster in KUBECONFIG instead"
            )
