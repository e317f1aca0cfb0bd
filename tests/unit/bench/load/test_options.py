import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from bench.load import options
from bench.load.connections import Policy
from bench.load.course import Objective
from bench.load.lengths import Fixed, Uniform
from bench.load.options import read_settings
from bench.load.phases import Closed, Pause, Phase, parse_phase
from bench.load.plan import Limits, Shape

PHASE = ("--phase", "pause:seconds=1")


def test_a_line_with_everything_becomes_a_plan() -> None:
    line = (
        "demo:50051 --phase closed:streams=1,seconds=2 --phase pause:seconds=1 --prompt-tokens 8"
        " --output-tokens uniform:low=1,high=9 --vocabulary 300 --seed 7 --slo-first-token 2"
        " --slo-inter-token 0.1 --max-in-flight 5 --max-requests 6 --max-seconds 7 --timeout 8"
        " --connections call --no-retries --output lines --stop-at-eof"
    )
    settings = read_settings(line.split())
    assert settings.target == "demo:50051"
    assert settings.plan.phases == (Closed(1, 2.0), Pause(1.0))
    assert settings.plan.shape == Shape(Fixed(8), Uniform(1, 9), 300, 7)
    assert settings.plan.limits == Limits(5, 6, 7.0, 8.0)
    assert settings.plan.objective == Objective(2.0, 0.1)
    assert (settings.policy, settings.retries) == (Policy.CALL, False)
    assert (settings.output, settings.stops_at_eof) == ("lines", True)


def test_a_trace_is_read_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("0,3,4\n")
    settings = read_settings(["demo:50051", "--phase", f"trace:file={file}"])
    assert [arrival.at for arrival in settings.plan.traces[str(file)]] == [0.0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "required: --phase"),
        (
            ("--phase", "closed:streams=0,seconds=1"),
            "--phase: 'closed:streams=0,seconds=1': streams",
        ),
        (("--phase", "trace:file=/nowhere.csv"), "/nowhere.csv: cannot be read as a trace"),
        ((*PHASE, "--max-in-flight", "0"), "--max-in-flight: the value is 0, it must be between 1"),
        ((*PHASE, "--timeout", "soon"), "--timeout: 'soon' is not a number"),
        ((*PHASE, "--timeout", "nan"), "--timeout: the value is nan, it must be between"),
        ((*PHASE, "--vocabulary", "5"), "--vocabulary: the value is 5, it must be between 6"),
        ((*PHASE, "--prompt-tokens", "0"), "--prompt-tokens: 'fixed:tokens=0': tokens is 0"),
        ((*PHASE, "--connections", "many"), "--connections: invalid choice: 'many'"),
        ((*PHASE, "--clients", "0"), "--clients: the value is 0"),
        (
            (*PHASE, "--clients", "2", "--connections", "call"),
            "--clients: they have a connection each, which is not call",
        ),
    ],
)
def test_a_wrong_line_ends_with_the_option_and_the_limit(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        read_settings(["demo:50051", *arguments])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def examples() -> list[str]:
    """Command lines of the README."""
    text = (Path(options.__file__).parent / "README.md").read_text()
    return re.findall(r"^python -m bench\.load (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("line", examples())
def test_the_examples_of_the_readme_are_lines_that_run(line: str) -> None:
    assert read_settings(shlex.split(line)).plan.phases


def test_the_readme_explains_every_phase_by_one_that_is_read() -> None:
    text = (Path(options.__file__).parent / "README.md").read_text()
    told = re.findall(r"^\| `(\w+:[^`]+)` \|", text, re.MULTILINE)
    assert {type(parse_phase(phase)) for phase in told} == set(get_args(Phase))
