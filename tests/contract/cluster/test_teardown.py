"""The cluster goes without a trace, also after its start was killed. Replaces what is running."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from llm_cluster import cgroups, iptables, mounts, process, record, sysctls, teardown
from llm_cluster.command import run
from llm_cluster.errors import ClusterError
from llm_cluster.layout import CGROUP, ENVIRONMENT_MARK, Layout, checkout, machine_layout
from llm_cluster.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600)]
LAYOUT = machine_layout()


def trace(layout: Layout) -> dict[str, object]:
    """All on the machine that a cluster may change, in a form that can be compared."""
    dumps = [run([f"{program}-save"]) for program in ("iptables", "ip6tables")]
    return {
        "processes": process.marked(ENVIRONMENT_MARK, CGROUP),
        "mounts": mounts.present([layout.run, layout.data]),
        "links": [line.split(":")[1] for line in run(["ip", "-o", "link"]).splitlines()],
        "routes": run(["ip", "route", "show", "table", "all"]).splitlines(),
        "namespaces": run(["ip", "netns"]),
        "own chains": [iptables.without_cluster(dump) for dump in dumps],
        "tables": iptables.tables(),
        "cgroups": cgroups.existing(layout.cgroups, CGROUP),
        "settings": sysctls.current(),
        "absent folders": teardown.absent_shared_folders(),
        "own folders": [layout.run.exists(), layout.data.exists(), layout.lock.exists()],
    }


def command(*arguments: str) -> list[str]:
    """The command line of ``python -m llm_cluster``."""
    return [sys.executable, "-m", "llm_cluster", *arguments]


@pytest.fixture
def environment() -> dict[str, str]:
    """With the cluster's package on the path."""
    return {**os.environ, "PYTHONPATH": str(checkout() / "tests" / "cluster")}


@pytest.fixture
def clean(environment: dict[str, str]) -> Iterator[dict[str, object]]:
    """A machine without the cluster, and what it looks like; the cluster is back afterwards."""
    run(command("down"), env=environment)
    yield trace(LAYOUT)
    run(command("up"), env=environment, timeout=300)


@pytest.mark.parametrize("last", ["etcd", "kube-proxy", "kubelet-node2"])
def test_a_killed_start_is_recognised_and_goes_without_a_trace(
    clean: dict[str, object], environment: dict[str, str], last: str
) -> None:
    starting = subprocess.Popen(command("up"), env=environment, stderr=subprocess.DEVNULL)
    wait_until(f"the start of {last}", lambda: has_started(last), 120)
    starting.kill()
    starting.wait()
    assert "its start never came to an end" in run(command("status"), env=environment)
    run(command("down"), env=environment)
    assert trace(LAYOUT) == clean


def test_a_full_cluster_goes_without_a_trace(
    clean: dict[str, object], environment: dict[str, str]
) -> None:
    run(command("up", "--kwok"), env=environment, timeout=900)
    run(command("down"), env=environment)
    assert trace(LAYOUT) == clean


def has_started(name: str) -> bool:
    """Whether the record names that process."""
    try:
        known = record.load(LAYOUT.run)
    except ClusterError:
        return False
    return known is not None and name in known.processes
