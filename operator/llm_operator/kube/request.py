"""Requests to the API server as plain data, so that what is sent can be tested without a socket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llm_operator.kube.resources import BY_KIND, Resource

FIELD_MANAGER = "llm-operator"
READ_SECONDS = 10.0
WRITE_SECONDS = 10.0
LIST_SECONDS = 30.0

Verb = Literal["get", "list", "watch", "create", "patch", "update", "delete"]
"""RBAC's names, which are also the closed set of the metrics' label."""

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
ANYTHING = "*/*"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Asks for a list of metadata alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. `deadline` in seconds bounds it as a whole."""

    verb: Verb
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    resource: Resource | None = None
    subresource: str = ""
    query: Sequence[tuple[str, str]] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    content_type: str = JSON
    accept: str = JSON
    deadline: float = READ_SECONDS

    @property
    def writes(self) -> bool:
        return self.method != "GET"


def get(resource: Resource, namespace: str, name: str) -> Request:
    return Request(verb="get", method="GET", path=resource.path(namespace, name), resource=resource)


def get_raw(path: str) -> Request:
    """A document outside of the resources, such as `/openid/v1/jwks`."""
    return Request(verb="get", method="GET", path=path, accept=ANYTHING)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind a list or a watch is about. All namespaces when None."""

    resource: Resource
    namespace: str | None = None
    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> list[tuple[str, str]]:
        given = (("labelSelector", self.labels), ("fieldSelector", self.fields))
        return [(name, value) for name, value in given if value]


def list_page(what: Selection, *, limit: int, token: str = "", accept: str = JSON) -> Request:
    """One page of at most `limit` objects; `token` is the last page's `metadata.continue`."""
    query = [*what.query, ("limit", str(limit))]
    if token:
        query.append(("continue", token))
    return Request(
        verb="list",
        method="GET",
        path=what.resource.path(what.namespace),
        resource=what.resource,
        query=query,
        accept=accept,
        deadline=LIST_SECONDS,
    )


def watch(what: Selection, *, since: str, seconds: int) -> Request:
    """A stream of changes after resource version `since`, ended by the server after `seconds`."""
    return Request(
        verb="watch",
        method="GET",
        path=what.resource.path(what.namespace),
        resource=what.resource,
        query=[
            *what.query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", since),
            ("timeoutSeconds", str(seconds)),
        ],
        deadline=seconds + READ_SECONDS,
    )


def apply(manifest: Mapping[str, Any], *, uid: str | None) -> Request:
    """Server-side apply of a full object. With `uid`, an object replaced in between is a 409."""
    metadata = dict(manifest["metadata"])
    if uid is not None:
        metadata["uid"] = uid
    resource = BY_KIND[manifest["kind"]]
    return Request(
        verb="patch",
        method="PATCH",
        path=resource.path(metadata["namespace"], metadata["name"]),
        resource=resource,
        query=[("fieldManager", FIELD_MANAGER), ("force", "true")],
        body={**manifest, "metadata": metadata},
        content_type=APPLY,
        deadline=WRITE_SECONDS,
    )


def patch_status(resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Request:
    """JSON merge patch of the `status` subresource; `body` is `{"status": {...}}`, and a
    `metadata.resourceVersion` in it makes the patch refuse a newer object (409)."""
    return Request(
        verb="patch",
        method="PATCH",
        path=resource.path(namespace, name, "status"),
        resource=resource,
        subresource="status",
        query=[("fieldManager", FIELD_MANAGER)],
        body=body,
        content_type=MERGE,
        deadline=WRITE_SECONDS,
    )


def create(manifest: Mapping[str, Any]) -> Request:
    resource = BY_KIND[manifest["kind"]]
    return Request(
        verb="create",
        method="POST",
        path=resource.path(manifest["metadata"]["namespace"]),
        resource=resource,
        query=[("fieldManager", FIELD_MANAGER)],
        body=manifest,
        deadline=WRITE_SECONDS,
    )


def merge(resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Request:
    """JSON merge patch of an object: used for the series of an Event alone."""
    return Request(
        verb="patch",
        method="PATCH",
        path=resource.path(namespace, name),
        resource=resource,
        query=[("fieldManager", FIELD_MANAGER)],
        body=body,
        content_type=MERGE,
        deadline=WRITE_SECONDS,
    )


def replace(manifest: Mapping[str, Any]) -> Request:
    """PUT: with its `metadata.resourceVersion`, a compare-and-swap."""
    resource = BY_KIND[manifest["kind"]]
    metadata = manifest["metadata"]
    return Request(
        verb="update",
        method="PUT",
        path=resource.path(metadata["namespace"], metadata["name"]),
        resource=resource,
        query=[("fieldManager", FIELD_MANAGER)],
        body=manifest,
        deadline=WRITE_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class Doomed:
    """An object to delete: exactly the one with this uid."""

    resource: Resource
    namespace: str
    name: str
    uid: str


def delete(doomed: Doomed, propagation: str) -> Request:
    """Deletes with a uid precondition: an object replaced in between is a 409, not a loss."""
    return Request(
        verb="delete",
        method="DELETE",
        path=doomed.resource.path(doomed.namespace, doomed.name),
        resource=doomed.resource,
        body={
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": doomed.uid},
            "propagationPolicy": propagation,
        },
        deadline=WRITE_SECONDS,
    )
