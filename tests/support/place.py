"""A real API server with the CRD, and one namespace per test. For conftest files to import."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio.client.configuration import Configuration

from llm_operator.kube.client import KubeClient
from llm_operator.kube.connect import connect
from llm_operator.kube.errors import KubeError
from llm_operator.kube.request import MERGE, Request, Selection, create
from llm_operator.kube.resources import (
    BY_KIND,
    CHILDREN,
    GRPC_ROUTE,
    LEASE,
    LLM_DEPLOYMENT,
    POD,
    Resource,
)
from llm_operator.kube.store import DEPLOYMENT_LABEL, Key
from support.api_server import ApiServer, running_api_server
from support.pretend_kubelet import PretendKubelet

CRD = Path(__file__).resolve().parents[2] / "crds" / "llmdeployments.yaml"
REVISION_LABEL = "llm-operator.dev/revision"
AS_USER = (("fieldManager", "kubectl"),)
CRDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api-server")
    with running_api_server(folder, lambda server: asyncio.run(_install_crd(server))) as running:
        yield running


async def _install_crd(server: ApiServer) -> None:
    client = KubeClient(await connect(str(server.kubeconfig)))
    await install_kind(client, CRD.read_text(), LLM_DEPLOYMENT)
    await client.aclose()


async def install_kind(client: KubeClient, crd: str, resource: Resource) -> None:
    """Teaches the API server the kind of a CRD (its YAML); returns when it knows it."""
    body = yaml.safe_load(crd)
    await client.send(Request(verb="create", method="POST", path=CRDS_PATH, body=body))
    for _ in range(200):
        try:
            await client.list(Selection(resource))
            break
        except KubeError:
            await asyncio.sleep(0.1)


@dataclass(slots=True)
class Place:
    """A namespace of a test, seen by an administrator."""

    admin: KubeClient
    configuration: Configuration
    namespace: str
    kubelet: PretendKubelet

    def key(self, name: str) -> Key:
        return Key(self.namespace, name)

    async def deploy(self, name: str, **spec: Any) -> Key:
        """What a user's `kubectl apply` does."""
        model = {"source": {"uri": "hf://llm/demo@main"}}
        manifest = {
            "apiVersion": LLM_DEPLOYMENT.api_version,
            "kind": LLM_DEPLOYMENT.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"model": model, "runtime": {"device": "cpu"}, **spec},
        }
        await self.create(manifest)
        return self.key(name)

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Somebody else's object: not made in our name."""
        return await self.admin.send(replace(create(manifest), query=AS_USER))

    async def post(self, path: str, manifest: dict[str, Any]) -> None:
        """Makes an object of a kind that the operator does not know."""
        await self.admin.send(
            Request(verb="create", method="POST", path=path, body=manifest, query=AS_USER)
        )

    async def edit(self, key: Key, **spec: Any) -> None:
        """What a user's `kubectl patch --type merge` does."""
        await self._merge(LLM_DEPLOYMENT.path(*key), {"spec": spec})

    async def merge(self, path: str, body: dict[str, Any]) -> None:
        await self._merge(path, body)

    async def _merge(self, path: str, body: dict[str, Any]) -> None:
        request = Request(
            verb="patch",
            method="PATCH",
            path=path,
            body=body,
            content_type=MERGE,
            query=AS_USER,
        )
        await self.admin.send(request)

    async def remove(self, path: str) -> None:
        await self.admin.send(Request(verb="delete", method="DELETE", path=path))

    async def expire_lease(self) -> None:
        """What time does to a dead leader's Lease, without the waiting."""
        if await self.admin.get(LEASE, self.namespace, "llm-operator") is not None:
            await self.remove(LEASE.path(self.namespace, "llm-operator"))

    async def status(self, key: Key) -> dict[str, Any]:
        found = await self.admin.get(LLM_DEPLOYMENT, *key)
        return dict((found or {}).get("status") or {})

    async def is_ready(self, key: Key, generation: int | None = None) -> bool:
        """Ready as `kubectl wait` sees it, for the newest spec."""
        found = await self.admin.get(LLM_DEPLOYMENT, *key)
        status = (found or {}).get("status") or {}
        ready = [c for c in status.get("conditions", ()) if c["type"] == "Ready"]
        wanted = generation or (found or {}).get("metadata", {}).get("generation")
        is_current = status.get("observedGeneration") == wanted
        return bool(is_current and ready and ready[0]["status"] == "True")

    async def is_settled(self, key: Key) -> bool:
        """Ready, no rollout under way, and nothing left of the revision before."""
        status = await self.status(key)
        kinds = {c["type"] for c in status.get("conditions", ()) if c["status"] == "True"}
        if "Reconciling" in kinds or not await self.is_ready(key):
            return False
        for kind in ("Deployment", "Service"):
            labels = f"{DEPLOYMENT_LABEL}={key.name},{REVISION_LABEL}"
            found = await self.admin.list(Selection(BY_KIND[kind], self.namespace, labels))
            if len(found.items) != 1:
                return False
        return True

    async def children(self) -> dict[tuple[str, str], dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for resource in CHILDREN:
            selection = Selection(
                resource, self.namespace, "app.kubernetes.io/managed-by=llm-operator"
            )
            for item in (await self.admin.list(selection)).items:
                found[resource.kind, item["metadata"]["name"]] = item
        return found

    async def route(self, name: str) -> dict[str, Any] | None:
        return await self.admin.get(GRPC_ROUTE, self.namespace, name)

    async def pods(self) -> set[str]:
        return {
            item["metadata"]["uid"]
            for item in (await self.admin.list(Selection(POD, self.namespace))).items
        }


@pytest.fixture
async def place(server: ApiServer) -> AsyncIterator[Place]:
    """A fresh namespace with a pretended kubelet."""
    api = await connect(str(server.kubeconfig))
    admin = KubeClient(api)
    name = f"test-{uuid.uuid4().hex[:8]}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await admin.send(
        Request(verb="create", method="POST", path="/api/v1/namespaces", body=namespace)
    )
    kubelet = PretendKubelet(admin, name)
    running = asyncio.create_task(kubelet.run())
    yield Place(admin, api.configuration, name, kubelet)
    running.cancel()
    await asyncio.wait({running})
    await admin.send(Request(verb="delete", method="DELETE", path=f"/api/v1/namespaces/{name}"))
    await admin.aclose()
