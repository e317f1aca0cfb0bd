"""The program itself: what it prints, how it is stopped, and that a pod with the client runs it."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Any

import pytest
from bench.load.bundle import archive

from support.scripted_inference import Behaviour, Scripted, after, answers, message, serving

ROOT = Path(__file__).resolve().parents[3]
HERE = ("-m", "bench.load")


async def start(*arguments: str, stdin: int = DEVNULL, cwd: Path = ROOT) -> Process:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=cwd, env=environment, stdin=stdin, stdout=PIPE
    )


async def lines_of(process: Process) -> list[dict[str, Any]]:
    """Everything that is printed from now on; the process has ended then."""
    assert process.stdout
    lines = [json.loads(line) async for line in process.stdout]
    await process.wait()
    return lines


async def next_event(process: Process, event: str) -> dict[str, Any]:
    assert process.stdout
    async for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"ended without {event}")


async def loses_tokens(request: Any, context: Any) -> None:
    await context.write(message(1, 2))


async def test_lines_tell_each_phase_the_progress_and_the_report() -> None:
    async with serving(Scripted(after(0.1))) as target:
        phases = ("closed:streams=2,seconds=1.5", "closed:streams=1,requests=1")
        options = ("--phase", phases[0], "--phase", phases[1], "--output", "lines")
        lines = await lines_of(await start(*HERE, target, *options))
    events = [line["event"] for line in lines]
    assert [event for event in events if event != "progress"] == ["phase", "phase", "report"]
    assert "progress" in events
    assert [line["phase"] for line in lines if line["event"] == "phase"] == [*phases]
    assert lines[-1]["total"]["answered"] == lines[-1]["total"]["sent"] > 2
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


@pytest.mark.parametrize(("behaviour", "code"), [(answers, 0), (loses_tokens, 1)])
async def test_the_exit_code_tells_of_lost_requests(behaviour: Behaviour, code: int) -> None:
    async with serving(Scripted(behaviour)) as target:
        process = await start(
            *HERE, target, "--phase", "closed:streams=1,requests=2", "--output", "json"
        )
        printed, _ = await process.communicate()
    assert process.returncode == code
    assert json.loads(printed)["total"]["lost"] == 2 * code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_cancels_what_is_under_way_and_the_report_still_comes(
    number: signal.Signals,
) -> None:
    servicer = Scripted(after(60))
    async with serving(servicer) as target:
        process = await start(
            *HERE, target, "--phase", "closed:streams=3,seconds=60", "--output", "lines"
        )
        await next_event(process, "progress")
        process.send_signal(number)
        lines = await lines_of(process)
    assert process.returncode == 128 + number
    assert lines[-1]["event"] == "report"
    assert lines[-1]["total"]["cancelled"] == lines[-1]["total"]["sent"] == 3


async def test_the_end_of_the_input_stops_the_sending_and_nothing_is_cancelled() -> None:
    async with serving(Scripted(after(0.2))) as target:
        process = await start(
            *HERE, target, "--phase", "closed:streams=3,seconds=60",
            "--output", "lines", "--stop-at-eof", stdin=PIPE,
        )  # fmt: skip
        await next_event(process, "progress")
        assert process.stdin
        process.stdin.close()
        lines = await lines_of(process)
    total = lines[-1]["total"]
    assert process.returncode == 0
    assert total["answered"] == total["sent"] >= 3


async def test_the_bundle_runs_where_nothing_but_the_client_is(tmp_path: Path) -> None:
    bundle = tmp_path / "load.pyz"
    bundle.write_bytes(archive())
    async with serving(Scripted(answers)) as target:
        options = ("--phase", "closed:streams=2,requests=6", "--output", "lines")
        process = await start(str(bundle), target, *options, cwd=tmp_path)
        lines = await lines_of(process)
    assert process.returncode == 0
    assert lines[-1]["total"]["answered"] == 6
