"""Which LLMDeployments kopf's watch has shown, to check that it still shows them.

kopf tells nobody about its bookmarks, so its watch has no heartbeat of ours. Instead each resync
compares what the API server lists with what the watch has told: a version that two resyncs in a row
have listed and no event has brought means that the watch is blind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_operator.kube.store import Key


@dataclass(slots=True)
class Roster:
    """Resource versions by LLMDeployment, as the events brought them."""

    _told: dict[Key, str] = field(default_factory=dict)
    _doubted: dict[Key, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._told)

    def keys(self) -> tuple[Key, ...]:
        """Every LLMDeployment that there is, as far as the watch has told."""
        return tuple(self._told)

    def saw(self, key: Key, version: str) -> None:
        self._told[key] = version

    def lost(self, key: Key) -> None:
        self._told.pop(key, None)

    def audit(self, listed: Mapping[Key, str]) -> list[str]:
        """Names of LLMDeployments whose listed version was listed before too and never told."""
        still = [k for k, v in self._doubted.items() if _is_older(self._told.get(k), v)]
        self._doubted = {k: v for k, v in listed.items() if _is_older(self._told.get(k), v)}
        return [str(key) for key in still if key in listed]


def _is_older(told: str | None, listed: str) -> bool:
    return told is None or int(told) < int(listed)
