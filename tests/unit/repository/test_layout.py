"""What holds for the repository as a whole."""

import ast
import operator
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = (
    ROOT / "operator" / "llm_operator",
    ROOT / "runtime" / "llm_runtime",
    ROOT / "client" / "llm_client",
    ROOT / "demo",
    ROOT / "bench",
    ROOT / "images",
)
GENERATED = ROOT / "client" / "llm_client" / "v1"
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def sources() -> Iterator[Path]:
    """Every Python file of the product that a person wrote."""
    for package in PACKAGES:
        yield from (p for p in package.rglob("*.py") if GENERATED not in p.parents)


def function_lengths() -> Iterator[tuple[int, str]]:
    """Lines and place of every function."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield lines, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def test_the_folder_named_operator_does_not_shadow_the_standard_library() -> None:
    """`operator/` is a source root without __init__.py; a package there would break Python."""
    assert operator.itemgetter(1)(("a", "b")) == "b"
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not (ROOT / "runtime" / "__init__.py").exists()


def test_a_file_has_at_most_500_lines() -> None:
    """A longer file holds more than one concept."""
    long = [str(p.relative_to(ROOT)) for p in sources() if len(p.read_text().splitlines()) > 500]
    assert long == []


def test_a_function_has_at_most_60_lines_and_usually_ten() -> None:
    """The story of a function fits on a screen."""
    lengths = list(function_lengths())
    assert [place for lines, place in lengths if lines > 60] == []
    assert statistics.median(lines for lines, _ in lengths) <= 10


def test_no_file_has_a_name_that_says_nothing() -> None:
    """A newcomer looks for the concept, not for a drawer."""
    assert [str(p.relative_to(ROOT)) for p in sources() if p.stem in VAGUE] == []


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name
)
def test_a_lock_pins_every_package_by_hash_and_names_no_place(lock: Path) -> None:
    """What is installed is what was resolved, from wherever the machine gets its packages."""
    text = lock.read_text()
    assert not re.search(r"https?://|^--(index|extra|find|trusted)", text, re.MULTILINE)
    blocks = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert blocks
    assert [
        block.split()[0] for block in blocks if "==" not in block or "sha256:" not in block
    ] == []
