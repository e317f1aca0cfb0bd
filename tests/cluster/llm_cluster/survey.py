"""Looks at the machine: is there a cluster, whose, and is it healthy?"""

from llm_cluster import record, teardown
from llm_cluster.errors import ClusterError, CommandError
from llm_cluster.kubectl import Kubectl
from llm_cluster.ownership import Found
from llm_cluster.record import Record
from llm_cluster.site import Site


def find(site: Site) -> Found:
    """What is here now. A record that cannot be read counts as something a killed run left."""
    try:
        known = record.load(site.layout.run)
    except ClusterError as damaged:
        return Found(leftovers=(str(damaged),))
    if known is None:
        return Found(leftovers=teardown.leftovers(site.layout))
    return Found(known.checkout, known.fingerprint, trouble(site, known))


def trouble(site: Site, known: Record) -> str:
    """What is wrong with the recorded cluster, in words; empty when it is healthy."""
    if not known.complete:
        return "its start never came to an end"
    dead = record.dead_processes(known)
    if dead:
        return f"not running any more: {', '.join(dead)}"
    kubectl = Kubectl(site.layout.tools / "kubectl", site.layout.kubeconfig)
    if not kubectl.is_ready():
        return "its API server does not answer"
    return _trouble_of_nodes(site, kubectl)


def _trouble_of_nodes(site: Site, kubectl: Kubectl) -> str:
    try:
        ready = kubectl.ready_nodes()
    except CommandError as failed:
        return f"its nodes cannot be listed: {failed}"
    missing = [node.name for node in site.layout.nodes if node.name not in ready]
    return f"not Ready: {', '.join(missing)}" if missing else ""
