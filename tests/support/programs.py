"""The pinned programs of the local cluster, for tests that need one without the cluster."""

from llm_cluster.build import Programs, build, cache_folder, programs
from llm_cluster.progress import Progress


def built(*groups: str) -> Programs:
    """The programs, of which those of the groups exist: what is not in the cache is built now."""
    wanted = programs(cache_folder())
    build(wanted, cache_folder(), Progress(), set(groups))
    return wanted
