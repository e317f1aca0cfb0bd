"""The operator as users run it: its own process, `python -m llm_operator`, kopf and all."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from support.free_port import free_port

STOP_SECONDS = 20.0


@dataclass(slots=True)
class OperatorProcess:
    """A running process and its ports."""

    process: "subprocess.Popen[bytes]"
    health_port: int
    metrics_port: int
    log: Path

    async def metrics(self) -> str:
        return (await self._get(self.metrics_port, "/metrics"))[1]

    async def value(self, name: str) -> float:
        """Sum of a metric's series."""
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", await self.metrics(), re.MULTILINE)
        return sum(float(value) for value in found)

    async def writes(self) -> float:
        """Writes that need the Lease: all but those of the Lease itself."""
        found = re.findall(
            r'^llm_operator_kube_writes_total\{kind="(\w+)",verb="\w+"\} (\S+)$',
            await self.metrics(),
            re.MULTILINE,
        )
        return sum(float(value) for kind, value in found if kind != "Lease")

    async def is_leading(self) -> bool:
        return await self.value("llm_operator_leader") == 1

    async def is_ready(self) -> bool:
        try:
            status, _ = await self._get(self.health_port, "/readyz")
        except aiohttp.ClientError:
            return False
        return status == 200

    async def stop(self) -> int:
        """SIGTERM, as the kubelet sends; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS)

    @property
    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found.group(1)) / 1024

    @staticmethod
    async def _get(port: int, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as response,
        ):
            return response.status, await response.text()


@contextmanager
def running_operator(kubeconfig: Path, log: Path, **environ: str) -> Iterator[OperatorProcess]:
    """A process with these settings (without their prefix) over usable ones; killed at the end."""
    health, metrics = free_port(), free_port()
    settings = {
        "SERVICE_ACCOUNT": "llm-operator",
        "POD_NAME": "operator",
        "RUNTIME_IMAGE": "localhost/llm-operator/runtime:1",
        "EXPORTER_IMAGE": "localhost/llm-operator/exporter:1",
        "REGISTRY": "registry.test:5000",
        "LEASE_SECONDS": "3",
        "HEALTH_PORT": str(health),
        "METRICS_PORT": str(metrics),
        **environ,
    }
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env |= {f"LLM_OPERATOR_{name}": value for name, value in settings.items()}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "llm_operator"],
            env={**env, "KUBECONFIG": str(kubeconfig)},
            stdout=output,
            stderr=output,
        )
    try:
        yield OperatorProcess(process, health, metrics, log)
    finally:
        process.kill()
        process.wait()
