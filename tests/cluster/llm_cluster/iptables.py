"""The packet filter: one chain of ours that keeps pods' packets here, and taking all out again.

kube-proxy and the bridge plugin make chains of their own; they end with the cluster.
"""

import shutil
from itertools import pairwise

from llm_cluster.command import run
from llm_cluster.layout import POD_NETWORK

CHAIN = "LLM-CLUSTER"
_OURS = ("KUBE-", "CNI-", CHAIN)
_FAMILIES = ("iptables", "ip6tables")


def keep_packets_here() -> None:
    """Rejects whatever a pod sends to addresses beyond this machine.

    Service addresses are rewritten before this rule and the machine's own addresses never pass
    FORWARD, so only packets that would leave meet it.
    """
    wall = ["-s", POD_NETWORK, "!", "-d", POD_NETWORK, "-j", "REJECT"]
    run(["iptables", "-w", "-N", CHAIN])
    run(["iptables", "-w", "-A", CHAIN, *wall])
    run(["iptables", "-w", "-I", "FORWARD", "-j", CHAIN])


def without_cluster(dump: str) -> str | None:
    """An ``iptables-save`` dump without the cluster's chains and rules; None if it had none.

    Tables that had none of ours are left out, so that restoring touches nothing else.
    """
    tables = [table for table in _tables(dump) if any(_is_ours(line) for line in table)]
    if not tables:
        return None
    kept = [line for table in tables for line in table if not _is_ours(line)]
    return "\n".join([*kept, ""])


def _tables(dump: str) -> list[list[str]]:
    tables: list[list[str]] = []
    for line in dump.splitlines():
        if line.startswith("*"):
            tables.append([])
        if tables and not line.startswith("#"):
            tables[-1].append(line)
    return tables


def _is_ours(line: str) -> bool:
    """A chain of ours (":NAME …"), a rule in one (-A NAME) or a rule that jumps into one (-j)."""
    if line.startswith(":"):
        return line[1:].startswith(_OURS)
    words = line.split()
    named = pairwise(words)
    return any(flag in ("-A", "-j", "-g") and name.startswith(_OURS) for flag, name in named)


def chains() -> list[str]:
    """The families whose tables hold chains of a cluster (ours or another kube-proxy's)."""
    return [family for family in _FAMILIES if without_cluster(_dump(family)) is not None]


def remove_all() -> None:
    """Takes every chain and rule of the cluster out, both families."""
    for family in _FAMILIES:
        rest = without_cluster(_dump(family))
        if rest is not None:
            run([f"{family}-restore", "-w"], stdin=rest)


def _dump(family: str) -> str:
    if shutil.which(f"{family}-save") is None:
        return ""
    return run([f"{family}-save"])
