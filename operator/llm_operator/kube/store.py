"""What the watches have shown: one store per kind, read by `observe` instead of the API.

Our own writes are put in as well, from the answer of the write. So the store is never older than
what we wrote, and a reconcile that runs before the watch has caught up does no work twice. Of two
versions of an object the newer one stays: resource versions of one kind are ordered integers.

A newer version that says the same is no news. Nodes and autoscalers are written every few seconds,
and whatever they woke would not be left alone in its back-off.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DEPLOYMENT_LABEL = "llm-operator.dev/deployment"

Json = Mapping[str, Any]


class Key(NamedTuple):
    """Names an LLMDeployment, or any other object within its kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def unchanged(manifest: Json) -> Json:
    return manifest


@dataclass(slots=True)
class Store:
    """Objects of one kind, by name and by the LLMDeployment whose label they carry.

    `slim` drops what nobody reads before an object is kept: pods are many and large, and a change
    of what is not kept wakes nobody.
    """

    slim: Callable[[Json], Json] = unchanged
    owner: Callable[[Json], Key | None] = field(default_factory=lambda: owner_of)
    """Which LLMDeployment an object concerns; asked of the object as it came and as it is kept, so
    it may look at nothing that `slim` drops."""
    _objects: dict[Key, Json] = field(default_factory=dict)
    _by_owner: dict[Key, dict[str, Key]] = field(default_factory=dict)
    _deleted: dict[str, str] = field(default_factory=dict)
    """Namespace by uid of what we deleted and the watch has not seen go yet."""
    _listed: dict[str | None, int] = field(default_factory=dict)
    """Version of the last list by namespace."""

    def __len__(self) -> int:
        return len(self._objects)

    def of(self, owner: Key) -> tuple[Json, ...]:
        """Objects labelled with this LLMDeployment, in the order of their names."""
        return tuple(self._objects[key] for key in sorted(self._by_owner.get(owner, {}).values()))

    def all(self) -> tuple[Json, ...]:
        """Every object there is."""
        return tuple(self._objects.values())

    def put(self, manifest: Json) -> set[Key]:
        """Keeps an object unless a newer one is known. Returns the LLMDeployments it concerns: none
        when nothing of it has changed but its version."""
        key, known = _key(manifest), self._objects.get(_key(manifest))
        if manifest["metadata"].get("uid") in self._deleted:
            return set()
        if known is not None and _version(known) >= _version(manifest):
            return set()
        kept = self.slim(manifest)
        if known is not None and _content(known) == _content(kept):
            self._objects[key] = kept  # the version counts: what is older than it stays out
            return set()
        touched = self._drop(key)
        self._objects[key] = kept
        owner = self.owner(manifest)
        if owner is not None:
            self._by_owner.setdefault(owner, {})[key.name] = key
            touched.add(owner)
        return touched

    def remove(self, manifest: Json) -> set[Key]:
        """Forgets an object that the watch saw leave, unless it came back as another one since.

        The end of what we deleted ourselves is news as well: a plan may wait for it.
        """
        owner = self.owner(manifest)
        if self._deleted.pop(manifest["metadata"].get("uid", ""), None) is not None and owner:
            return self._forget(manifest) | {owner}
        return self._forget(manifest)

    def _forget(self, manifest: Json) -> set[Key]:
        known = self._objects.get(_key(manifest))
        if known is None or _version(known) > _version(manifest):
            return set()
        return self._drop(_key(manifest))

    def expect_gone(self, key: Key, uid: str) -> None:
        """We have deleted this object: late news of it are not believed until the watch sees it
        go."""
        known = self._objects.get(key)
        if known is not None and known["metadata"].get("uid") == uid:
            self._drop(key)
            self._deleted[uid] = key.namespace

    def replace(
        self, manifests: Iterable[Json], version: str, namespace: str | None = None
    ) -> set[Key]:
        """Takes over a complete list of `namespace` (all of them when None) made at `version`;
        newer writes of our own stay. A list that is older than the last one is of a restored
        etcd: what was known is of a history that never happened."""
        is_restored = _number(version) < self._listed.get(namespace, 0)
        self._listed[namespace] = _number(version)
        listed = {_key(manifest): manifest for manifest in manifests}
        uids = {manifest["metadata"].get("uid") for manifest in listed.values()}
        self._deleted = {
            uid: where
            for uid, where in self._deleted.items()
            if uid in uids or namespace not in (None, where)
        }
        touched: set[Key] = set()
        covered = [key for key in self._objects if namespace in (None, key.namespace)]
        for key in covered:
            is_gone = key not in listed and _version(self._objects[key]) <= _number(version)
            if is_gone or is_restored:
                touched |= self._drop(key)
        for manifest in listed.values():
            touched |= self.put(manifest)
        return touched

    def clear(self, namespace: str | None = None) -> set[Key]:
        """Nothing is left in `namespace` (anywhere when None): the kind itself is gone."""
        covered = [key for key in self._objects if namespace in (None, key.namespace)]
        gone = {uid for uid, where in self._deleted.items() if namespace in (None, where)}
        self._deleted = {uid: ns for uid, ns in self._deleted.items() if uid not in gone}
        return {owner for key in covered for owner in self._drop(key)}

    def _drop(self, key: Key) -> set[Key]:
        gone = self._objects.pop(key, None)
        owner = self.owner(gone) if gone is not None else None
        if owner is None:
            return set()
        siblings = self._by_owner[owner]
        del siblings[key.name]
        if not siblings:
            del self._by_owner[owner]
        return {owner}


def owner_of(manifest: Json) -> Key | None:
    """The LLMDeployment that an object's label names."""
    metadata = manifest["metadata"]
    name = (metadata.get("labels") or {}).get(DEPLOYMENT_LABEL)
    return Key(metadata["namespace"], name) if name else None


def itself(manifest: Json) -> Key:
    """For kinds that concern whoever uses them: the watch tells which one changed."""
    return Key(manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])


def without_managed_fields(manifest: Json) -> Json:
    """The object without the book-keeping of server-side apply, half of its size."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    return {**manifest, "metadata": metadata}


def pod_essentials(pod: Json) -> Json:
    """Of a pod: metadata, the node, and the status. Its spec is in its owner."""
    slim = without_managed_fields(pod)
    return {**slim, "spec": {"nodeName": (pod.get("spec") or {}).get("nodeName")}}


def _content(manifest: Json) -> Json:
    """What an object says, whenever and by whomever it was written."""
    slim = without_managed_fields(manifest)
    metadata = {k: v for k, v in slim["metadata"].items() if k != "resourceVersion"}
    return {**slim, "metadata": metadata}


def _key(manifest: Json) -> Key:
    metadata = manifest["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])  # nodes are in no namespace


def _version(manifest: Json) -> int:
    return _number(manifest["metadata"]["resourceVersion"])


def _number(version: str) -> int:
    return int(version)
