"""The packet filter: one chain of ours that keeps pods' packets here, and taking all out again.

kube-proxy and the bridge plugin make chains of their own; they end with the cluster.
"""

import shutil
from itertools import pairwise

from llm_cluster.command import run
from llm_cluster.errors import ClusterError
from llm_cluster.layout import POD_NETWORK

CHAIN = "LLM-CLUSTER"
_OURS = ("KUBE-", "CNI-", CHAIN)
_FAMILIES = {"iptables": "ip", "ip6tables": "ip6"}


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


def check_free() -> None:
    """Raises ClusterError when another cluster's chains are there: ours would fight with them."""
    if any(without_cluster(_dump(program)) is not None for program in _FAMILIES):
        raise ClusterError(
            "another Kubernetes has its iptables chains (KUBE-… or CNI-…) on this machine: stop it "
            "first, or set KUBECONFIG to it and use it instead"
        )


def remove_all() -> None:
    """Takes every chain and rule of the cluster out, both families."""
    for family in _FAMILIES:
        rest = without_cluster(_dump(family))
        if rest is not None:
            run([f"{family}-restore", "-w"], stdin=rest)


def tables() -> set[str]:
    """The tables that are there, as nft names them: "ip nat", "ip6 filter"."""
    return {
        f"{family} {table[0][1:]}"
        for program, family in _FAMILIES.items()
        for table in _tables(_dump(program))
    }


def remove_empty_tables(before: tuple[str, ...]) -> None:
    """Removes tables that iptables made since ``before`` and that hold no rule of anyone."""
    listed = run(["nft", "list", "tables"]).splitlines() if shutil.which("nft") else []
    for program, family in _FAMILIES.items():
        for name in empty_tables(_dump(program)):
            table = f"{family} {name}"
            if table not in before and f"table {table}" in listed:
                run(["nft", "delete", "table", *table.split()])


def empty_tables(dump: str) -> list[str]:
    """Names of the tables in an ``iptables-save`` dump that change no packet's way.

    They have no rule, no chain of anyone's own, and accept by policy.
    """
    inert = ("*", "COMMIT")
    return [
        table[0][1:]
        for table in _tables(dump)
        if all(line.startswith(inert) or " ACCEPT " in f"{line} " for line in table)
        and not any(line.startswith("-A") for line in table)
    ]


def _dump(family: str) -> str:
    if shutil.which(f"{family}-save") is None:
        return ""
    return run([f"{family}-save"])
