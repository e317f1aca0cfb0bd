"""What the documents name exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md")])
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "build"}


def named_paths(text: str) -> Iterator[str]:
    """Backticked words that begin with a folder of the repository."""
    for word in re.findall(r"`([\w./<>*-]+/[\w./<>*-]*)`", text):
        if word.split("/")[0] in FOLDERS and "<" not in word:
            yield word


def links(text: str) -> Iterator[str]:
    """Targets of relative Markdown links."""
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    assert [name for name in named_paths(text) if not list(ROOT.glob(name.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [link for link in links(page.read_text()) if not (page.parent / link).exists()] == []


def test_the_oldest_kubernetes_is_the_same_everywhere() -> None:
    """README, chart and the local cluster's page name one minimum."""
    chart = (ROOT / "charts/llm-operator/Chart.yaml").read_text()
    oldest = re.search(r"kubeVersion:\s*\"?>=\s*(\d+\.\d+)", chart)
    assert oldest
    for page in ("README.md", "charts/llm-operator/README.md", "tests/cluster/README.md"):
        assert oldest.group(1) in (ROOT / page).read_text(), page
