"""A gRPC client in Go, whose library is another implementation of xDS than Python's."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from llm_client.bootstrap import bootstrap
from llm_operator.kube.store import Key
from llm_operator.xds.resources import listener_name
from support.traffic_stage import KEY, TrafficStage


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some calls: how often each answer and each error came, as Go names it, and
    what the last error said."""

    answers: Counter[str]
    errors: dict[str, int]
    detail: str

    @property
    def shares(self) -> Counter[str]:
        """How many calls each pod has answered, where all were."""
        assert not self.errors, self.detail
        return self.answers


@dataclass(slots=True)
class GoClient:
    """One process with one channel."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, program: Path, target: str, control_plane: int) -> Self:
        """A client of the control plane at that port of loopback. Its environment holds nothing but
        the bootstrap: no proxy and no other bootstrap gets between."""
        process = await asyncio.create_subprocess_exec(
            program,
            target,
            env={"GRPC_XDS_BOOTSTRAP_CONFIG": bootstrap(f"127.0.0.1:{control_plane}")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(process)

    async def calls(self, number: int, prefix: str = "") -> Outcome:
        """Makes so many calls, one after the other."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{number} {prefix}\n".encode())
        line = await self.process.stdout.readline()
        assert line, "the client ended; it says why on standard error"
        told = json.loads(line)
        return Outcome(Counter(told["answers"]), told["errors"], told["detail"])

    async def end(self) -> None:
        """It ends when it is told nothing more; a call that hangs does not hold it up."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def go_client(program: Path, stage: TrafficStage, key: Key = KEY) -> AsyncIterator[GoClient]:
    """A client of the LLMDeployment, which runs the program `xds-client`."""
    client = await GoClient.start(program, f"xds:///{listener_name(key)}", stage.port)
    try:
        yield client
    finally:
        await client.end()
