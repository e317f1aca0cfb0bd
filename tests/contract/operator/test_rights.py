"""RBAC replay: the rights that the chart grants are those that the operator uses, no more, no less.

The operator runs as a user that has nothing but the chart's rules; the API server's audit log tells
what it asked for.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from llm_operator.kube.request import Request
from support.api_server import ApiServer
from support.gateway_api import GatewayApi
from support.operator_life import eventually
from support.operator_process import running_operator
from support.place import Place
from support.programs import built

pytestmark = pytest.mark.timeout(300)

CHART = Path(__file__).resolve().parents[3] / "charts" / "llm-operator"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
EVERYBODY_MAY = ("/api", "/apis", "/version", "/openid/", "/.well-known/")
UNSEEN = {
    # Asked for by clusters that enforce OwnerReferencesPermissionEnforcement, through admission.
    ("update", "llm-operator.dev", "llmdeployments/finalizers"),
    # A repeated Event joins its series: see tests/contract/kube/test_events.py.
    ("patch", "events.k8s.io", "events"),
    # Only where a pod finds no node; there are none here.
    ("list", "", "events"),
    # Only on the way to zero and back, which needs an activator.
    ("get", "discovery.k8s.io", "endpointslices"),
    ("create", "discovery.k8s.io", "endpointslices"),
    ("patch", "discovery.k8s.io", "endpointslices"),
    ("delete", "discovery.k8s.io", "endpointslices"),
}


class Right(NamedTuple):
    verb: str
    group: str
    resource: str


def rendered(namespace: str) -> list[dict[str, Any]]:
    argv = [str(built("helm").path("helm")), "template", "llm-operator", str(CHART)]
    argv += ["--namespace", namespace, "--set", f"watchNamespaces={{{namespace}}}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def rules_of(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Roles that are bound to the operator, which are all but those for people."""
    for found in objects:
        if found["kind"] == "Role" and "operator" in found["metadata"]["name"]:
            yield from found["rules"]


def granted(objects: list[dict[str, Any]]) -> set[Right]:
    return {
        Right(verb, group, resource)
        for rule in rules_of(objects)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def grant(place: Place, objects: list[dict[str, Any]]) -> None:
    """Gives the chart's roles to the test's user instead of to a ServiceAccount."""
    user = {"kind": "User", "name": "operator", "apiGroup": "rbac.authorization.k8s.io"}
    for found in objects:
        if found["kind"] not in ("Role", "RoleBinding"):
            continue
        if found["kind"] == "RoleBinding":
            found = {**found, "subjects": [user]}
        path = f"{RBAC}/namespaces/{place.namespace}/{found['kind'].lower()}s"
        await place.admin.send(Request(verb="create", method="POST", path=path, body=found))


def asked(server: ApiServer) -> Iterator[dict[str, Any]]:
    for line in server.audit_log.read_text().splitlines():
        event = json.loads(line)
        if not event["requestURI"].startswith(EVERYBODY_MAY) or "objectRef" in event:
            yield event


def right_of(event: dict[str, Any]) -> Right:
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    return Right(event["verb"], target.get("apiGroup", ""), resource)


def rights_of(event: dict[str, Any]) -> set[Right]:
    """An apply that makes its object is authorised as patch and as create."""
    right = right_of(event)
    is_made = right.verb == "patch" and event.get("responseStatus", {}).get("code") == 201
    return {right, right._replace(verb="create")} if is_made else {right}


async def test_the_chart_grants_exactly_what_is_used(
    place: Place, gateway_api: GatewayApi, server: ApiServer, tmp_path: Path
) -> None:
    await gateway_api.install()
    objects = rendered(place.namespace)
    await grant(place, objects)
    settings = {"NAMESPACE": place.namespace, "WATCH_NAMESPACES": place.namespace}
    with running_operator(server.operator_kubeconfig, tmp_path / "log", **settings) as operator:
        await eventually(operator.is_ready)
        await _all_stories(place)
        await operator.stop()
    events = list(asked(server))
    refused = [event for event in events if event["responseStatus"]["code"] == 403]
    assert not refused, refused[0]
    used = {right for event in events for right in rights_of(event)}
    assert used - granted(objects) == set()
    assert granted(objects) - used - UNSEEN == set()


async def _all_stories(place: Place) -> None:
    """Creation, scaling, a new revision, another model whose predecessor leaves no record, and a
    route that is made, changed and deleted."""
    gateway = {"parentRefs": [{"name": "public"}]}
    history = {"revisionHistoryLimit": 0}
    key = await place.deploy("demo", rollout=history, routing={"gateway": gateway})
    await eventually(lambda: place.is_settled(key), seconds=60)
    await place.edit(key, replicas=2)
    await eventually(lambda: place.is_settled(key), seconds=60)
    await place.edit(key, replicas=1)
    await eventually(lambda: place.is_settled(key), seconds=60)
    assert await place.route("demo")
    await place.edit(key, model={"source": {"uri": "hf://llm/other@main"}}, routing=None)

    async def is_replaced() -> bool:
        kinds = [kind for kind, _ in await place.children()]
        changing = ("Deployment", "Job", "ControllerRevision")
        return all(kinds.count(kind) == 1 for kind in changing) and await place.is_settled(key)

    await eventually(is_replaced, seconds=60)
    assert await place.route("demo") is None


def test_no_right_is_a_wildcard_and_none_reaches_secrets() -> None:
    rights = granted(rendered("anywhere"))
    assert not {right for right in rights if "*" in right}
    assert not {right for right in rights if right.resource in ("secrets", "pods/exec")}
    assert {r.resource for r in rights if r.verb in ("escalate", "bind", "impersonate")} == set()
