"""Processes are ended by identity, never by a number that the kernel may have handed out again."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from llm_cluster import process
from llm_cluster.process import Identity


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A child that would sleep for a minute."""
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def test_a_stat_line_is_read_even_when_the_program_is_called_like_one() -> None:
    line = "42 (evil) R 1 (x)) S 1 42 42 0 -1 4 1 0 0 0 1 2 0 0 20 0 1 0 987654 1000 10"
    assert process.parse_stat(line) == ("S", 987654)


def test_a_living_process_has_one_identity() -> None:
    assert process.identify(os.getpid()) == process.identify(os.getpid())


def test_a_process_is_killed_by_its_identity(sleeper: "subprocess.Popen[bytes]") -> None:
    identity = process.identify(sleeper.pid)
    assert identity is not None
    process.kill([identity])
    assert sleeper.wait() == -signal.SIGKILL


def test_a_recycled_process_id_is_never_killed(sleeper: "subprocess.Popen[bytes]") -> None:
    now = process.identify(sleeper.pid)
    assert now is not None
    process.kill([Identity(now.pid, now.start - 1)])
    assert sleeper.poll() is None


def test_killing_what_is_gone_is_no_error(sleeper: "subprocess.Popen[bytes]") -> None:
    identity = process.identify(sleeper.pid)
    assert identity is not None
    sleeper.kill()
    sleeper.wait()
    process.kill([identity])
    assert not process.is_alive(identity)


def test_a_zombie_counts_as_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    identity = process.identify(sleeper.pid)
    assert identity is not None
    process.kill([identity])
    assert not process.is_alive(identity)


def test_a_mark_is_a_variable_of_that_very_name() -> None:
    assert process.is_marked(b"PATH=/bin\0LLM_MARK=/run/x\0", "LLM_MARK")
    assert process.is_marked(b"LLM_MARK=/run/x\0", "LLM_MARK=/run/x")
    assert not process.is_marked(b"LLM_MARK=/run/xy\0", "LLM_MARK=/run/x")
    assert not process.is_marked(b"MY_LLM_MARK=1\0TEXT=LLM_MARK=1\0", "LLM_MARK")


@pytest.mark.parametrize(
    ("groups", "inside"),
    [
        ("4:memory:/ours/node1/kubepods/pod1\n", True),
        ("0::/ours\n", True),
        ("0::/ours-too/node1\n", False),
        ("3:cpu:/user.slice/ours\n", False),
    ],
)
def test_a_cgroup_holds_what_is_in_it_or_below_it(groups: str, inside: bool) -> None:
    assert process.is_inside(groups, "ours") is inside
