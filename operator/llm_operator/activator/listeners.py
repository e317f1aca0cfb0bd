"""Which ports to open, to keep and to retire. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_operator.kube.store import Key


@dataclass(frozen=True, slots=True)
class Changes:
    """What to do about ports.

    opened: ports to listen on. returned: retiring ones that are wanted again. retired: ports that
    nobody wants any more. contested: LLMDeployments that want a port which another one has.
    """

    opened: tuple[tuple[int, Key], ...] = ()
    returned: tuple[int, ...] = ()
    retired: tuple[int, ...] = ()
    contested: tuple[Key, ...] = ()


def changes(
    listening: Mapping[int, Key], retiring: Mapping[int, Key], wanted: Mapping[Key, int]
) -> Changes:
    """Compares the ports that are open (`listening` and `retiring`) with those that are wanted.

    A port stays with whom it has: whoever claims it later gets it when it is closed, so that no
    slice can take another one's calls away.
    """
    taken = {**retiring, **listening}
    opened: dict[int, Key] = {}
    contested: list[Key] = []
    for key, port in sorted(wanted.items()):
        if taken.get(port, key) != key or port in opened:
            contested.append(key)
        elif port not in taken:
            opened[port] = key
    return Changes(
        opened=tuple(opened.items()),
        returned=tuple(sorted(p for p, key in retiring.items() if wanted.get(key) == p)),
        retired=tuple(sorted(p for p, key in listening.items() if wanted.get(key) != p)),
        contested=tuple(contested),
    )
