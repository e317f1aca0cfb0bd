"""What makes two hub repositories the same."""

from types import SimpleNamespace

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
