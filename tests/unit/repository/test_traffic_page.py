"""docs/traffic.md says what the control plane does, and shows a bootstrap that has been tried."""

import json
import re
from pathlib import Path

from llm_client.bootstrap import DEFAULT_SERVER, bootstrap
from llm_cluster import pins
from llm_operator.xds import patience, resources, subscriptions
from llm_operator.xds.traffic import Policy

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "traffic.md").read_text()


def rows(header: str) -> list[str]:
    """A table's rows, which begin two lines below its header."""
    table = PAGE.split(f"\n| {header} |", 1)[1].split("\n\n", 1)[0]
    return table.splitlines()[2:]


def test_the_bootstrap_is_the_one_that_clients_in_python_and_go_are_tried_with() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(text) == json.loads(bootstrap(DEFAULT_SERVER))


def test_figures_are_those_of_the_control_plane() -> None:
    shown = [float(row.rstrip(" |").rpartition("| ")[2]) for row in rows("what | figure")]
    assert shown == [
        resources.MOST_CALLS,
        resources.RETRIES,
        patience.PREPARE_SECONDS,
        patience.HOLD_SECONDS,
        subscriptions.MOST_NAMES,
    ]
    (retried,) = (row for row in rows("what | figure") if "further tries" in row)
    assert re.findall(r"`([\w-]+)`", retried) == resources.RETRY_ON.split(",")


def test_every_policy_is_explained_once() -> None:
    shown = [row.split("`")[1] for row in rows("policy | what a client does | what to know")]
    assert shown == [policy.value for policy in Policy]


def test_the_go_library_that_is_tried_is_the_pinned_one() -> None:
    go = pins.group("xds-client")
    version = pins.version_of(go.module, (pins.MODULES / go.name / "go.mod").read_text())
    assert f"| {version.removeprefix('v')} |" in PAGE
