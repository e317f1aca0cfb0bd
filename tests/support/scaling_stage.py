"""A namespace whose pods have control ports, and operators that come and go. For conftest files."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llm_operator.kube.request import Selection
from llm_operator.kube.resources import EVENT
from llm_operator.kube.store import Key
from llm_operator.reconcile.plan import plan
from support.control_ports import ControlPort, ControlPorts, control_ports
from support.operator_life import Life, alive, eventually, settings_for
from support.place import Place


@dataclass(slots=True)
class Stage:
    """What a test of scaling acts on."""

    place: Place
    ports: ControlPorts
    token: Path

    def leader(self) -> AbstractAsyncContextManager[Life]:
        settings = settings_for(self.place.namespace, control_token_file=str(self.token))
        return alive(self.place.configuration, settings, plan)

    async def deploy(self, replicas: int, **spec: Any) -> Key:
        """An LLMDeployment that serves with so many pods. An operator must be there."""
        key = await self.place.deploy("demo", replicas=replicas, **spec)
        await eventually(lambda: self.place.is_settled(key))
        await eventually(lambda: all(port.watchers for port in self.ports.ports.values()))
        return key

    async def replicas(self) -> int:
        """`spec.replicas` of the Deployments together."""
        children = await self.place.children()
        found = [live for (kind, _), live in children.items() if kind == "Deployment"]
        return sum(int(live["spec"].get("replicas", 1)) for live in found)

    async def has_replicas(self, count: int) -> bool:
        return await self.replicas() == count

    async def reason(self, kind: str) -> str:
        """The reason of a condition."""
        status = await self.place.status(self.place.key("demo"))
        return next((c["reason"] for c in status.get("conditions", ()) if c["type"] == kind), "")

    async def is_told(self, kind: str, reason: str) -> bool:
        return await self.reason(kind) == reason

    async def events(self, reason: str) -> list[str]:
        """Messages of the LLMDeployment's events."""
        found = await self.place.admin.list(Selection(EVENT, self.place.namespace))
        return [str(event["note"]) for event in found.items if event["reason"] == reason]

    async def told(self, reason: str) -> str:
        """The message of the only such event; it comes after the status."""

        async def is_there() -> bool:
            return bool(await self.events(reason))

        await eventually(is_there)
        messages = await self.events(reason)
        assert len(messages) == 1, messages
        return messages[0]

    def victim(self) -> ControlPort:
        (name,) = self.ports.leaving()
        return self.ports.ports[name]

    def busy(self) -> None:
        """Every pod answers two requests, for as long as the test likes."""
        for port in self.ports.ports.values():
            port.work(2)


@pytest.fixture
async def stage(place: Place, tmp_path: Path) -> AsyncIterator[Stage]:
    token = tmp_path / "token"
    token.write_text("secret")
    async with control_ports() as ports:
        place.kubelet.ports = ports
        yield Stage(place, ports, token)
