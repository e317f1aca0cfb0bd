import ast
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.load import table
from bench.load.bundle import archive

FOLDER = Path(table.__file__).parent
HERE_ALONE = {"table.py"}
"""Files that need more than a pod with the client has; nothing imports them but for people."""


def imported(path: Path) -> Iterator[str]:
    """Modules that a file names in its imports, those within functions left out."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize(
    "path", [p for p in FOLDER.glob("*.py") if p.name not in HERE_ALONE], ids=lambda p: p.name
)
def test_a_pod_with_the_client_has_all_that_the_generator_imports(path: Path) -> None:
    """The rest of `bench` is not in the bundle, and rich is not in every pod."""
    foreign = [name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names]
    allowed = ("bench.load.", "grpc.", "llm_client.")
    assert [name for name in foreign if not f"{name}.".startswith(allowed)] == []


def test_the_bundle_holds_the_generator_and_nothing_else() -> None:
    names = zipfile.ZipFile(io.BytesIO(archive())).namelist()
    sources = {f"bench/load/{path.name}" for path in FOLDER.glob("*.py")}
    assert set(names) == {"__main__.py", "bench/__init__.py"} | sources


def test_equal_sources_make_equal_bundles() -> None:
    assert archive() == archive()


def test_the_bundle_fits_into_a_config_map_many_times() -> None:
    assert len(archive()) < 100_000
