"""Losing a node and getting it back, for fault tests.

A lost node is what a power cut leaves: its kubelet, its container runtime and all its containers
are killed at once, and nothing says goodbye to the API server.
"""

from llm_cluster import images, launch, process
from llm_cluster.layout import CGROUP, ENVIRONMENT_MARK, Layout, Node


def lose(layout: Layout, node: Node) -> None:
    """SIGKILL to everything of ``node``. Its containers' files stay, as on a real disk."""
    for name in _processes(node):
        if name in launch.running(layout):
            launch.stop(layout, name)
    mark = f"{ENVIRONMENT_MARK}=containerd-{node.name}"
    process.kill(process.marked(mark, f"{CGROUP}/{node.name}"))


def restore(layout: Layout, node: Node) -> None:
    """Starts the container runtime and kubelet of ``node`` again; they find their state.

    The kubelet gives up for good when it meets a runtime that does not answer yet.
    """
    agent, runtime = _processes(node)
    _start_if_dead(layout, runtime)
    images.wait_for_runtime(node, layout.tools / "ctr")
    _start_if_dead(layout, agent)


def _start_if_dead(layout: Layout, name: str) -> None:
    if name not in launch.running(layout):
        launch.start_again(layout, name)


def _processes(node: Node) -> tuple[str, str]:
    """The kubelet first: it would start ended containers again."""
    return (f"kubelet-{node.name}", f"containerd-{node.name}")
