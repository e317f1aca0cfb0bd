"""Starts the cluster's processes and writes down which they are."""

from dataclasses import replace
from pathlib import Path

from llm_cluster import process, record
from llm_cluster.blueprint import Command
from llm_cluster.errors import ClusterError
from llm_cluster.layout import ENVIRONMENT_MARK, Layout
from llm_cluster.record import Record, Running
from llm_cluster.site import Site


def start(site: Site, names: list[str]) -> None:
    """Starts processes of the blueprint by name and adds them to the record."""
    for name in names:
        _start(site.layout, name, site.blueprint.commands[name])


def start_again(layout: Layout, name: str) -> None:
    """Starts a recorded process as it was started before. ClusterError when it still runs."""
    known = recorded(layout)
    running = _named(known, name)
    if process.is_alive(running.identity):
        raise ClusterError(f"{name} is running; stop it first")
    _launch(layout, known, running)


def stop(layout: Layout, name: str) -> None:
    """SIGKILL to one recorded process, for fault tests; nothing starts it again by itself."""
    process.kill([_named(recorded(layout), name).identity])


def running(layout: Layout) -> list[str]:
    """Names of the recorded processes that are alive."""
    known = recorded(layout)
    dead = record.dead_processes(known)
    return [name for name in known.processes if name not in dead]


def recorded(layout: Layout) -> Record:
    """The record of the running cluster; ClusterError when there is none."""
    known = record.load(layout.run)
    if known is None:
        raise ClusterError("no cluster is running on this machine: start one with `up`")
    return known


def _named(known: Record, name: str) -> Running:
    if name not in known.processes:
        names = ", ".join(sorted(known.processes))
        raise ClusterError(f"no process is called {name!r}; there are: {names}")
    return known.processes[name]


def _start(layout: Layout, name: str, command: Command) -> None:
    env = {"PATH": command.path, "HOME": "/root", ENVIRONMENT_MARK: name}
    log = str(layout.logs / f"{name}.log")
    unborn = process.Identity(0, 0)
    _launch(layout, recorded(layout), Running(name, unborn, command.argv, env, log))


def _launch(layout: Layout, known: Record, running: Running) -> None:
    identity = process.spawn(running.argv, Path(running.log), running.env)
    record.save(layout.run, known.with_process(replace(running, identity=identity)))
