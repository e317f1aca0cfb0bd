"""The real huggingface_hub against a hub on loopback, over good lines and bad ones."""

from pathlib import Path

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.download_source import Access, Download, download_source
from llm_runtime.model.progress import ProgressReport, SharedProgress, Step
from llm_runtime.model.source import HubSource, Pinned
from support.checkpoints import tiny_llama
from support.cutting_proxy import cutting_proxy
from support.hub_server import running_hub

from .conftest import MODEL


def download(endpoint: str, folder: Path, progress: SharedProgress) -> Pinned:
    request = Download(HubSource(MODEL, "main"), folder, lambda _: None, lambda _: False)
    return download_source(request, Access(hub_endpoint=endpoint), progress)


def test_a_branch_is_pinned_to_its_commit(hub: str, tmp_path: Path) -> None:
    pinned = download(hub, tmp_path / "model", SharedProgress())
    assert len(pinned.revision) == 40
    assert pinned.uri == f"hf://{MODEL}@{pinned.revision}"
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_progress_counts_the_bytes_of_the_weights(hub: str, tmp_path: Path) -> None:
    progress = SharedProgress()
    download(hub, tmp_path / "model", progress)
    size = (tmp_path / "model" / "model.safetensors").stat().st_size
    assert progress.report() == ProgressReport(Step.FETCH, size, size, 0)


def test_a_line_that_breaks_now_and_then_is_no_failure(hub: str, tmp_path: Path) -> None:
    host = hub.removeprefix("http://")
    with cutting_proxy(host, after=20_000, cuts=2) as (address, proxy):
        download(f"http://{address}", tmp_path / "model", SharedProgress())
        assert proxy.cut == 2
    assert (tmp_path / "model" / "model.safetensors").stat().st_size > 20_000


def test_a_line_that_keeps_breaking_is_worth_another_try(hub: str, tmp_path: Path) -> None:
    host = hub.removeprefix("http://")
    with (
        cutting_proxy(host, after=8_000, cuts=1000) as (address, _),
        pytest.raises(ModelError, match="broke off") as caught,
    ):
        download(f"http://{address}", tmp_path / "model", SharedProgress())
    assert (caught.value.reason, caught.value.retryable) == (Reason.DOWNLOAD_FAILED, True)


def test_a_mirror_that_lists_no_digests_is_refused_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    tiny_llama(tmp_path / "hub" / MODEL)
    with (
        running_hub(tmp_path / "hub", list_digests=False) as endpoint,
        pytest.raises(ModelError, match="lists no digest of") as caught,
    ):
        download(endpoint, tmp_path / "model", SharedProgress())
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    assert list((tmp_path / "model").iterdir()) == []
