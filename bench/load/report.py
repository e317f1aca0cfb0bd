"""What a run tells machines: JSON, one object for the whole or one a line while it runs. Pure."""

from dataclasses import fields
from typing import Any

from bench.load.phases import Phase
from bench.load.tally import Tally


def phase_name(phase: Phase) -> str:
    """The phase as it is written on the command line, without what is as usual."""
    values = ((known.name, getattr(phase, known.name), known.default) for known in fields(phase))
    pairs = (
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value, default in values
        if value != default
    )
    return f"{type(phase).__name__.lower()}:{','.join(pairs)}"


def cost(cpu_seconds: float, total: Tally) -> dict[str, float]:
    """What the generator itself used: CPU time of the process."""
    return {
        "cpu_seconds": cpu_seconds,
        "cpu_milliseconds_per_request": 1e3 * cpu_seconds / max(1, total.sent),
        "cpu_microseconds_per_token": 1e6 * cpu_seconds / max(1, total.tokens),
    }


def report(
    phases: tuple[Phase, ...], tallies: list[Tally], total: Tally, cpu_seconds: float
) -> dict[str, Any]:
    """The whole run: the total, each phase that began, and the generator's own cost."""
    told = [
        {"phase": phase_name(phase), **tally.summary()}
        for phase, tally in zip(phases, tallies, strict=False)
    ]
    return {"total": total.summary(), "phases": told, "generator": cost(cpu_seconds, total)}
