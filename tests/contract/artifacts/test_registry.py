"""Artifacts in a real registry: stored once, found, fetched whole or not at all."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from llm_runtime.model.artifact import fetch, find, push
from llm_runtime.model.reference import Reference
from llm_runtime.model.registry import RegistryOptions, Repository
from llm_runtime.model.verify import verify_artifact
from support.checkpoints import tiny_llama
from support.cutting_proxy import cutting_proxy
from support.free_port import free_port
from support.oci_registry import (
    PASSWORD,
    USER,
    OciRegistry,
    running_registry,
)
from support.rangeless_proxy import rangeless_proxy

PLAIN = RegistryOptions(plain_http=True, pauses=(0.01, 0.01, 0.01))
IMPATIENT = RegistryOptions(plain_http=True, pauses=())


def at(registry: OciRegistry, repository: str, *, digest: str | None = None) -> Reference:
    return Reference(registry.host, repository, None if digest else "v1", digest)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def image_manifest(registry: OciRegistry, repository: str, digest: str) -> Any:
    """As any client of registries reads it."""
    url = f"http://{registry.host}/v2/{repository}/manifests/{digest}"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    return requests.get(url, headers=accept, timeout=5).json()


def test_what_was_pushed_comes_back_equal(
    registry: OciRegistry, artifact: Path, tmp_path: Path
) -> None:
    stored = push(artifact, at(registry, "equal"), PLAIN)
    fetched = fetch(at(registry, "equal", digest=stored.digest), tmp_path / "model", PLAIN)
    assert contents(tmp_path / "model") == contents(artifact)
    assert fetched == stored
    verify_artifact(tmp_path / "model")


def test_equal_artifacts_have_equal_digests(
    registry: OciRegistry, artifact: Path, tmp_path: Path
) -> None:
    first = push(artifact, at(registry, "first"), PLAIN)
    copy = shutil.copytree(artifact, tmp_path / "copy", copy_function=shutil.copyfile)
    assert push(copy, at(registry, "second"), PLAIN).digest == first.digest


def test_an_artifact_exists_only_after_its_tag_was_written(
    registry: OciRegistry, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Repository, tag: str, content: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Repository, "put_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            push(artifact, at(registry, "late"), PLAIN)
    assert find(at(registry, "late"), PLAIN) is None
    stored = push(artifact, at(registry, "late"), PLAIN)
    assert find(at(registry, "late"), PLAIN) == stored


def test_blobs_that_are_there_are_not_sent_again(
    registry: OciRegistry, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(artifact, at(registry, "again"), PLAIN)
    sent: list[str] = []
    monkeypatch.setattr(Repository, "upload", lambda _, digest, __: sent.append(digest))
    push(artifact, at(registry, "again"), PLAIN)
    assert sent == []


def test_a_broken_artifact_is_not_pushed(
    registry: OciRegistry, artifact: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(artifact, tmp_path / "copy")
    (copy / "config.json").write_text("{}")
    with pytest.raises(ModelError) as caught:
        push(copy, at(registry, "broken"), PLAIN)
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    assert find(at(registry, "broken"), PLAIN) is None


def test_a_kubelet_can_read_the_image(registry: OciRegistry, artifact: Path) -> None:
    stored = push(artifact, at(registry, "image"), PLAIN)
    manifest = image_manifest(registry, "image", stored.digest)
    url = f"http://{registry.host}/v2/image/blobs/{manifest['config']['digest']}"
    config = requests.get(url, timeout=5).json()
    assert config["os"] == "linux"
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


def test_a_connection_that_breaks_is_continued_where_it_broke(
    registry: OciRegistry, artifact: Path, tmp_path: Path
) -> None:
    stored = push(artifact, at(registry, "cut"), PLAIN)
    with cutting_proxy(registry.host, after=200_000, cuts=6) as (host, proxy):
        source = Reference(host, "cut", digest=stored.digest)
        fetch(source, tmp_path / "model", PLAIN)
        assert proxy.cut == 6
    assert contents(tmp_path / "model") == contents(artifact)


def test_a_fetch_continues_what_a_killed_one_left(
    registry: OciRegistry, artifact: Path, tmp_path: Path
) -> None:
    stored = push(artifact, at(registry, "killed"), PLAIN)
    layers = image_manifest(registry, "killed", stored.digest)["layers"]
    titles = {layer["annotations"]["org.opencontainers.image.title"]: layer for layer in layers}
    layer = titles["model.data"]["digest"].removeprefix("sha256:")
    incoming = tmp_path / "model" / ".incoming"
    incoming.mkdir(parents=True)
    whole = (artifact / "model.data").read_bytes()
    (incoming / layer).write_bytes(whole[: len(whole) - 1000])
    with cutting_proxy(registry.host, after=100_000, cuts=1000) as (host, _):
        fetch(Reference(host, "killed", digest=stored.digest), tmp_path / "model", PLAIN)
    assert contents(tmp_path / "model") == contents(artifact)


def test_a_registry_that_knows_no_ranges_serves_whole_files_and_the_rest_of_begun_ones(
    registry: OciRegistry, artifact: Path, tmp_path: Path
) -> None:
    stored = push(artifact, at(registry, "whole"), PLAIN)
    layers = image_manifest(registry, "whole", stored.digest)["layers"]
    titles = {layer["annotations"]["org.opencontainers.image.title"]: layer for layer in layers}
    incoming = tmp_path / "model" / ".incoming"
    incoming.mkdir(parents=True)
    begun = incoming / titles["model.data"]["digest"].removeprefix("sha256:")
    begun.write_bytes((artifact / "model.data").read_bytes()[:1_300_000])
    with rangeless_proxy(registry.host) as host:
        fetch(Reference(host, "whole", digest=stored.digest), tmp_path / "model", PLAIN)
    assert contents(tmp_path / "model") == contents(artifact)


def test_files_of_equal_content_are_both_fetched(registry: OciRegistry, tmp_path: Path) -> None:
    source = tiny_llama(tmp_path / "checkpoint")
    twins = ("generation_config.json", "tokenizer_config.json")
    for name in twins:
        (source / name).write_text("{}")
    whole = tmp_path / "artifact"
    export_model(ExportRequest(source, whole, SourceRecord(uri="test", revision="1")))
    assert len({(whole / name).read_bytes() for name in twins}) == 1
    stored = push(whole, at(registry, "twins"), PLAIN)
    fetch(at(registry, "twins", digest=stored.digest), tmp_path / "model", PLAIN)
    assert contents(tmp_path / "model") == contents(whole)


def test_a_second_fetch_into_the_same_folder_changes_nothing(
    registry: OciRegistry, artifact: Path, tmp_path: Path
) -> None:
    stored = push(artifact, at(registry, "twice"), PLAIN)
    source = at(registry, "twice", digest=stored.digest)
    fetch(source, tmp_path / "model", PLAIN)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()}
    fetch(source, tmp_path / "model", PLAIN)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()}
    assert {k: v for k, v in after.items() if k != "manifest.json"} == {
        k: v for k, v in before.items() if k != "manifest.json"
    }


@pytest.mark.parametrize("name", ["model.data", "manifest.json", "tokenizer.json"])
def test_a_blob_that_was_altered_in_the_registry_never_becomes_a_model(
    program: Path, artifact: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "registry").mkdir()
    with running_registry(program, tmp_path / "registry") as registry:
        stored = push(artifact, at(registry, "altered"), PLAIN)
        manifest = image_manifest(registry, "altered", stored.digest)
        layer = next(each for each in manifest["layers"] if name in each["annotations"].values())
        blob = registry.blob_file(layer["digest"])
        content = bytearray(blob.read_bytes())
        content[700] ^= 1
        blob.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            fetch(at(registry, "altered", digest=stored.digest), tmp_path / "model", PLAIN)
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    assert not caught.value.retryable
    assert not (tmp_path / "model" / name).exists()
    assert not (tmp_path / "model" / "manifest.json").exists()


def test_a_registry_that_does_not_answer_is_unavailable_and_worth_another_try(
    artifact: Path,
) -> None:
    with pytest.raises(ModelError) as caught:
        find(Reference(f"127.0.0.1:{free_port()}", "models", "v1"), IMPATIENT)
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE
    assert caught.value.retryable


def test_a_registry_that_drops_connections_loses_no_export(
    registry: OciRegistry, artifact: Path
) -> None:
    with cutting_proxy(registry.host, after=0, cuts=3) as (host, proxy):
        stored = push(artifact, Reference(host, "drops", "v1"), PLAIN)
        assert proxy.cut == 3
    found = find(at(registry, "drops"), PLAIN)
    assert found is not None
    assert found.digest == stored.digest


def test_a_host_that_does_not_exist_is_unavailable() -> None:
    with pytest.raises(ModelError) as caught:
        find(Reference("registry.invalid:5000", "models", "v1"), IMPATIENT)
    assert caught.value.reason is Reason.REGISTRY_UNAVAILABLE


def test_an_unknown_digest_is_not_found(registry: OciRegistry, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(at(registry, "none", digest="sha256:" + "0" * 64), tmp_path / "model", PLAIN)
    assert caught.value.reason is Reason.FILE_NOT_FOUND
    assert not caught.value.retryable


def docker_config(folder: Path, registry: OciRegistry, password: str) -> RegistryOptions:
    folder.mkdir(exist_ok=True)
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": token}}}))
    return RegistryOptions(plain_http=True, auth_file=folder / "config.json")


def test_a_registry_with_a_password_takes_the_right_one_only(
    program: Path, artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "registry").mkdir()
    with running_registry(program, tmp_path / "registry", with_password=True) as registry:
        right = docker_config(tmp_path / "right", registry, PASSWORD)
        wrong = docker_config(tmp_path / "wrong", registry, "guessed")
        stored = push(artifact, at(registry, "locked"), right)
        assert find(at(registry, "locked"), right) == stored
        for options in (wrong, PLAIN):
            with pytest.raises(ModelError) as caught:
                find(at(registry, "locked"), options)
            assert caught.value.reason is Reason.AUTH_FAILED
            assert not caught.value.retryable
            assert "guessed" not in str(caught.value)
