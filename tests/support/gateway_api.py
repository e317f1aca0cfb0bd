"""The real Gateway API on an API server, and somebody who plays a Gateway's controller."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from llm_operator.kube.errors import KubeError, NotFoundError
from llm_operator.kube.request import Selection, patch_status
from llm_operator.kube.resources import GRPC_ROUTE
from support.operator_life import eventually
from support.place import CRDS_PATH, Place, install_kind
from support.programs import built

CRD_NAME = f"{GRPC_ROUTE.plural}.{GRPC_ROUTE.group}"


@dataclass(slots=True)
class GatewayApi:
    """Installed when a test wants it; gone after the test."""

    place: Place

    async def install(self) -> None:
        await install_kind(self.place.admin, _crd(), GRPC_ROUTE)

    async def remove(self) -> None:
        """Its objects go first; the API server then forgets the kind."""
        with suppress(NotFoundError):
            await self.place.remove(f"{CRDS_PATH}/{CRD_NAME}")
        await eventually(self._is_gone, seconds=60)

    async def _is_gone(self) -> bool:
        try:
            await self.place.admin.list(Selection(GRPC_ROUTE))
        except NotFoundError:
            return True
        except KubeError:
            return False
        return False

    async def accept(self, name: str) -> None:
        """What a controller writes that takes a route over as it is now."""
        route = await self.place.route(name)
        assert route is not None
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": kind,
                "message": "",
                "lastTransitionTime": "2027-01-01T00:00:00Z",
                "observedGeneration": route["metadata"]["generation"],
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = [
            {
                "controllerName": "example.com/gateway",
                "parentRef": parent,
                "conditions": conditions,
            }
            for parent in route["spec"]["parentRefs"]
        ]
        body: dict[str, Any] = {"status": {"parents": parents}}
        await self.place.admin.send(patch_status(GRPC_ROUTE, self.place.namespace, name, body))


def _crd() -> str:
    return built("gateway-api").path("gateway-api", "grpcroutes.yaml").read_text()


@pytest.fixture
async def gateway_api(place: Place) -> AsyncIterator[GatewayApi]:
    found = GatewayApi(place)
    yield found
    await found.remove()
