"""Does a live object say what we want it to say?

A subset comparison: the API server fills in defaults, other managers own other fields, quantities
come back in another spelling. Selectors and the rules of a policy are the exception: one key more
means other pods, one rule more another policy. What *we* once set and no longer want is seen by a
hash of the whole wish, kept in an annotation.
"""

import hashlib
import json
from typing import Any

from llm_operator.reconcile.world import Manifest
from llm_operator.render.quantity import canonical_quantity

RENDERED = "llm-operator.dev/rendered"
"""Annotation: hash of the manifest that was applied last."""

_LIST_KEYS = ("name", "containerPort", "port", "uid", "mountPath", "topologyKey", "key")
"""Fields by which items of a list are recognised, in order of preference."""

_QUANTITY_FIELDS = ("limits", "requests", "sizeLimit", "divisor")

_COMPLETE_LISTS = ("parentRefs", "backendRefs")
"""Lists whose items are ours alone, whatever defaults they get: one more would get calls."""

_WHOLE_FIELDS = ("selector", "podSelector", "ingress", "egress")
"""Fields that belong to one manager as a whole; the API server fills in nothing there that we do
not say."""


def stamped(manifest: Manifest) -> dict[str, Any]:
    """The manifest with the hash of itself."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), RENDERED: _hash(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def is_satisfied(wanted: Any, live: Any) -> bool:
    """Whether everything in `wanted` is in `live`; more in `live` is somebody else's."""
    if isinstance(wanted, dict):
        return _is_object_satisfied(wanted, live)
    if isinstance(wanted, list):
        return _is_list_satisfied(wanted, live)
    if not wanted and live is None:
        return True  # false, zero and empty are not stored
    return bool(wanted == live)


def has_drifted(stamped_manifest: Manifest, live: Manifest) -> bool:
    """Whether somebody else changed what we applied last (and not we what we want)."""
    return _stamp(stamped_manifest) == _stamp(live)


def _stamp(manifest: Manifest) -> str | None:
    annotations = manifest["metadata"].get("annotations") or {}
    stamp: str | None = annotations.get(RENDERED)
    return stamp


def _is_object_satisfied(wanted: dict[str, Any], live: Any) -> bool:
    if live is None:
        live = {}
    return isinstance(live, dict) and all(
        _is_field_satisfied(key, value, live.get(key)) for key, value in wanted.items()
    )


def _is_field_satisfied(key: str, wanted: Any, live: Any) -> bool:
    if key in _WHOLE_FIELDS:
        return bool(wanted == live)
    if key in _COMPLETE_LISTS and len(wanted) != len(live or ()):
        return False
    if key not in _QUANTITY_FIELDS or live is None:
        return is_satisfied(wanted, live)
    return is_satisfied(_canonical(wanted), _canonical(live))


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: canonical_quantity(amount) for name, amount in value.items()}
    return canonical_quantity(value)


def _is_list_satisfied(wanted: list[Any], live: Any) -> bool:
    found = list(live or ())
    key = _list_key(wanted, found)
    if key is None:
        return len(found) == len(wanted) and all(map(is_satisfied, wanted, found))
    by_key = {item[key]: item for item in found}
    return all(item[key] in by_key and is_satisfied(item, by_key[item[key]]) for item in wanted)


def _list_key(wanted: list[Any], live: list[Any]) -> str | None:
    """The field that names each item uniquely in both lists, if there is one."""
    items = [*wanted, *live]
    if not wanted or not all(isinstance(item, dict) for item in items):
        return None
    for key in _LIST_KEYS:
        if all(isinstance(item.get(key), str | int) for item in items) and all(
            len({item[key] for item in part}) == len(part) for part in (wanted, live)
        ):
            return key
    return None


def _hash(manifest: Manifest) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
