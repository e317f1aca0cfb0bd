"""The process itself: `llm-runtime serve` and `llm-runtime chat`, signals and exit codes."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llm_client import FinishReason, Message, Options, connect

COMMAND = (sys.executable, "-P", "-m", "llm_runtime")
LONG = Options(max_new_tokens=400, ignore_eos=True)


@dataclass(slots=True)
class Served:
    """A running `llm-runtime serve`; `lines` are its logs."""

    process: Process
    target: str = ""
    lines: list[dict[str, object]] = field(default_factory=list)

    async def until(self, message: str) -> dict[str, object]:
        """Reads the log up to a message."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := await self.process.stderr.readline():
                self.lines.append(json.loads(line))
                if self.lines[-1]["message"] == message:
                    return self.lines[-1]
        raise AssertionError(f"the process ended without saying {message!r}")

    async def end(self) -> int:
        """Reads the rest of the log and returns the exit code."""
        assert self.process.stderr is not None
        self.lines += [json.loads(line) async for line in self.process.stderr]
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def serve(artifact: Path, **settings: str) -> AsyncIterator[Served]:
    free = {name: "0" for name in ("LLM_DATA_PORT", "LLM_CONTROL_PORT", "LLM_METRICS_PORT")}
    given = {"LLM_MODEL_DIR": str(artifact), "LLM_LAME_DUCK_SECONDS": "0.2"}
    environment = (
        os.environ | free | given | {f"LLM_{key}": value for key, value in settings.items()}
    )
    process = await asyncio.create_subprocess_exec(*COMMAND, "serve", env=environment, stderr=PIPE)
    try:
        yield Served(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_serving(served: Served) -> None:
    opened = await served.until("Opened the data port")
    served.target = f"127.0.0.1:{opened['port']}"


async def test_sigterm_with_streams_in_flight_loses_none_and_exits_with_zero(
    artifact: Path,
) -> None:
    async with serve(artifact) as served:
        await until_serving(served)
        async with connect(served.target) as client:
            whole = (await client.generate("hello", LONG)).text
            begun = [asyncio.Event() for _ in range(8)]

            async def read(started: asyncio.Event) -> tuple[str, FinishReason | None]:
                text, reason = "", None
                async for chunk in client.stream("hello", LONG):
                    started.set()
                    text += chunk.text
                    reason = chunk.finish.reason if chunk.finish else None
                return text, reason

            streams = [asyncio.create_task(read(started)) for started in begun]
            await asyncio.gather(*(started.wait() for started in begun))
            served.process.send_signal(signal.SIGTERM)
            assert await asyncio.gather(*streams) == [(whole, FinishReason.LENGTH)] * 8
        assert await served.end() == 0
    phases = [line["phase"] for line in served.lines if "phase" in line]
    assert phases == ["SERVING", "LAME_DUCK", "DRAINING", "DRAINED"]


async def test_every_line_of_the_log_says_which_pod_wrote_it(artifact: Path) -> None:
    who = {"DEPLOYMENT": "demo", "NAMESPACE": "shop", "REVISION": "0badcafe", "POD_NAME": "demo-1"}
    async with serve(artifact, LAME_DUCK_SECONDS="0", **who) as served:
        await until_serving(served)
        served.process.send_signal(signal.SIGTERM)
        await served.end()
    fields = ("deployment", "namespace", "revision", "pod")
    assert {tuple(line.get(name) for name in fields) for line in served.lines} == {
        ("demo", "shop", "0badcafe", "demo-1")
    }


async def test_a_second_sigterm_does_not_wait_for_the_lame_duck_time(artifact: Path) -> None:
    async with serve(artifact, LAME_DUCK_SECONDS="300") as served:
        await until_serving(served)
        served.process.send_signal(signal.SIGTERM)
        await served.until("Entered a phase")
        served.process.send_signal(signal.SIGTERM)
        assert await served.end() == 0


async def test_an_artifact_that_is_not_there_ends_the_process_with_the_reason(
    tmp_path: Path,
) -> None:
    log = tmp_path / "termination.log"
    async with serve(tmp_path / "nothing", TERMINATION_LOG=str(log)) as served:
        assert await served.end() == 1
    document = json.loads(log.read_text())
    assert (document["ok"], document["reason"]) == (False, "ModelLoadFailed")
    assert "manifest.json is missing" in document["message"]


async def test_a_changed_artifact_is_never_loaded(artifact: Path, tmp_path: Path) -> None:
    log, changed = tmp_path / "termination.log", tmp_path / "changed"
    shutil.copytree(artifact, changed)
    weights = bytearray((changed / "model.data").read_bytes())
    weights[1000] ^= 1
    (changed / "model.data").write_bytes(weights)
    async with serve(changed, TERMINATION_LOG=str(log)) as served:
        assert await served.end() == 1
    assert "model.data" in json.loads(log.read_text())["message"]


async def test_too_little_memory_is_said_with_what_to_do(artifact: Path, tmp_path: Path) -> None:
    log = tmp_path / "termination.log"
    settings = {"MEMORY_LIMIT_BYTES": str(64 << 20), "TERMINATION_LOG": str(log)}
    async with serve(artifact, **settings) as served:
        assert await served.end() == 1
    assert "raise resources.limits.memory" in json.loads(log.read_text())["message"]


async def run(*arguments: str, typed: str = "", **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=os.environ | environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(typed.encode()), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    log = tmp_path / "termination.log"
    environment = {"LLM_DATA_PORT": "seventy", "LLM_TERMINATION_LOG": str(log)}
    code, _, err = await run("serve", **environment)
    assert code == 2
    assert "LLM_DATA_PORT" in err
    assert "LLM_DATA_PORT" in json.loads(log.read_text())["message"]


async def test_chat_prints_the_answer_of_one_question(artifact: Path) -> None:
    async with serve(artifact) as served:
        await until_serving(served)
        async with connect(served.target) as client:
            expected = (await client.chat("What is the capital of Norway?")).text
        code, out, _ = await run(
            "chat", served.target, "--prompt", "What is the capital of Norway?"
        )
    assert (code, out) == (0, expected + "\n")


async def test_chat_keeps_a_conversation_until_the_input_ends(artifact: Path) -> None:
    questions = ("What is the capital of Norway?", "translate to French: forty-two")
    async with serve(artifact) as served:
        await until_serving(served)
        async with connect(served.target) as client:
            first = (await client.chat(questions[0])).text
            talk = [Message("user", questions[0]), Message("assistant", first)]
            second = (await client.chat([*talk, Message("user", questions[1])])).text
            fresh = (await client.chat(questions[1])).text
        lines = [questions[0], questions[1], "/new", questions[1]]
        code, out, _ = await run("chat", served.target, typed="\n".join(lines) + "\n")
    assert code == 0
    assert [line for line in out.splitlines() if line] == [first, second, fresh]


async def test_chat_explains_what_is_wrong(artifact: Path) -> None:
    async with serve(artifact) as served:
        await until_serving(served)
        code, _, err = await run(
            "chat", served.target, "--prompt", "hi", "--max-new-tokens", "100000"
        )
    assert code == 1
    assert re.search(r"max_new_tokens is 100000, it must be from 1 to \d+", err)


async def test_logs_hold_neither_prompts_nor_answers(artifact: Path) -> None:
    async with serve(artifact, LOG_LEVEL="debug") as served:
        await until_serving(served)
        async with connect(served.target) as client:
            answer = await client.generate("a very secret prompt", LONG)
        served.process.send_signal(signal.SIGTERM)
        assert await served.end() == 0
    logged = json.dumps(served.lines)
    assert "secret prompt" not in logged
    assert answer.text[:20] not in logged
