"""What makes two hub repositories the same."""

from types import SimpleNamespace

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.hub import HubListing

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def listing(weights: str, config: str = "a1") -> HubListing:
    files = {
        "model.safetensors": SimpleNamespace(lfs=SimpleNamespace(sha256=weights), blob_id="x"),
        "config.json": SimpleNamespace(lfs=None, blob_id=config),
    }
    return HubListing("org/name", COMMIT, files)


def test_other_weights_under_the_same_commit_are_another_model() -> None:
    """A hub of somebody's own cannot take the place of a known model in the registry."""
    assert listing("aa").pinned.identity != listing("bb").pinned.identity


def test_another_configuration_under_the_same_commit_is_another_model() -> None:
    assert listing("aa", "a1").pinned.identity != listing("aa", "b2").pinned.identity


def test_a_mirror_of_the_same_files_is_the_same_model() -> None:
    assert listing("aa").pinned == listing("aa").pinned


def test_the_uri_names_repository_and_commit() -> None:
    assert listing("aa").pinned.uri == f"hf://org/name@{COMMIT}"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "chat_template.jinja"])
def test_a_file_without_a_digest_is_refused_and_named(name: str) -> None:
    """Two hubs that say nothing of their files would share one place in the registry."""
    found = listing("aa")
    found.files[name] = SimpleNamespace(lfs=None, blob_id=None)
    with pytest.raises(ModelError, match=name) as caught:
        _ = found.pinned
    assert (caught.value.reason, caught.value.retryable) == (Reason.CHECKSUM_MISMATCH, False)


def test_files_that_are_not_fetched_need_no_digest() -> None:
    found = listing("aa")
    found.files["README.md"] = SimpleNamespace(lfs=None, blob_id=None)
    assert found.pinned.revision == COMMIT
