"""The command line. Bad values end the program with a sentence that names option and limit."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from bench.load.connections import Policy
from bench.load.course import Objective
from bench.load.grammar import InvalidPlanError, check
from bench.load.lengths import DEFAULT_LENGTH, MOST_TOKENS, parse_distribution
from bench.load.phases import parse_phase
from bench.load.plan import FIRST_TOKEN_ID, Limits, Plan, Shape, read_traces

Value = TypeVar("Value")
Number = TypeVar("Number", int, float)

_PHASES = """phase: one of (repeat it for phases one after the other; units are seconds)
  closed:streams=10,seconds=60[,requests=1000]    always so many requests under way
  poisson:rate=5,seconds=60                       independent arrivals, 5 a second
  ramp:start=1,end=20,seconds=60                  the same with a rate that moves in a line
  burst:size=50,every=10,seconds=60               so many at once, again and again
  trace:file=arrivals.csv[,speed=2]               lines of: seconds, prompt tokens, output tokens
  pause:seconds=30                                nothing
tokens: 32, uniform:low=16,high=64 or lognormal:median=64,sigma=0.8,high=512[,low=1]"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says.

    stops_at_eof: the end of standard input stops the sending.
    """

    target: str
    plan: Plan
    policy: Policy
    retries: bool
    output: Literal["table", "json", "lines"]
    stops_at_eof: bool


def read_settings(arguments: Sequence[str]) -> Settings:
    """Reads the command line; ends the program with exit code 2 where it is wrong."""
    parser = _parser()
    found = parser.parse_args(arguments)
    phases = tuple(found.phase)
    try:
        traces = read_traces(phases)
    except InvalidPlanError as error:
        parser.error(str(error))
    limits = Limits(found.max_in_flight, found.max_requests, found.max_seconds, found.timeout)
    if found.clients and found.connections != Policy.STREAM:
        parser.error(f"--clients: they have a connection each, which is not {found.connections}")
    shape = Shape(
        found.prompt_tokens, found.output_tokens, found.vocabulary, found.seed, found.clients
    )
    objective = Objective(found.slo_first_token, found.slo_inter_token)
    return Settings(
        target=found.target,
        plan=Plan(phases, shape, limits, objective, traces),
        policy=Policy(found.connections),
        retries=found.retries,
        output=found.output,
        stops_at_eof=found.stop_at_eof,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load",
        description="Sends requests to anything that serves llm.v1 and tells what came back.",
        epilog=_PHASES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", help="HOST:PORT, or any name gRPC resolves")
    parser.add_argument("--phase", action="append", type=_told(parse_phase), required=True)
    _add_shape(parser)
    _add_limits(parser)
    add = parser.add_argument
    add("--connections", choices=[*Policy], default=Policy.STREAM, help="default: stream")
    clients = _between(int, 1, 10_000)
    add("--clients", metavar="N", type=clients, default=0, help="a connection to each of so many")
    add("--no-retries", dest="retries", action="store_false", help="show every refusal")
    add("--output", choices=["table", "json", "lines"], default="table", help="default: table")
    add("--stop-at-eof", action="store_true", help="stop when standard input closes")
    return parser


def _add_shape(parser: argparse.ArgumentParser) -> None:
    add, tokens = parser.add_argument, _told(parse_distribution)
    add(
        "--prompt-tokens", metavar="TOKENS", type=tokens, default=DEFAULT_LENGTH, help="default: 32"
    )
    add(
        "--output-tokens", metavar="TOKENS", type=tokens, default=DEFAULT_LENGTH, help="default: 32"
    )
    vocabulary = _between(int, FIRST_TOKEN_ID + 1, MOST_TOKENS)
    add("--vocabulary", type=vocabulary, default=200, help="token ids are below (default: 200)")
    add("--seed", type=int, default=0, help="equal seeds, equal requests (default: 0)")
    seconds = _between(float, 0.0, 86_400.0)
    none = float("inf")
    add("--slo-first-token", metavar="SECONDS", type=seconds, default=none)
    add("--slo-inter-token", metavar="SECONDS", type=seconds, default=none)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add, seconds = parser.add_argument, _between(float, 0.001, 86_400.0)
    add("--max-in-flight", metavar="N", type=_between(int, 1, 10_000), default=1000)
    add("--max-requests", metavar="N", type=_between(int, 1, 10_000_000), default=10_000_000)
    add("--max-seconds", metavar="SECONDS", type=seconds, default=3600.0)
    add("--timeout", metavar="SECONDS", type=seconds, default=300.0, help="of one request")


def _told(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """argparse shows the words of its own error alone."""

    def told(text: str) -> Value:
        try:
            return parse(text)
        except InvalidPlanError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return told


def _between(kind: Callable[[str], Number], low: Number, high: Number) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            raise InvalidPlanError(f"{text!r} is not a number as wanted") from None
        check("the value", value, low, high)
        return value

    return _told(parse)
