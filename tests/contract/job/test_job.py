"""The Job's story: from a source to an artifact in the registry, once."""

import json
from pathlib import Path

import pytest

from llm_runtime.model.artifact import fetch, find
from llm_runtime.model.reference import parse_reference
from llm_runtime.model.registry import RegistryOptions
from llm_runtime.model.verify import verify_artifact
from support.checkpoints import tiny_llama
from support.free_port import free_port
from support.oci_registry import OciRegistry

from .conftest import MODEL, Job

PLAIN = RegistryOptions(plain_http=True)


def unlike_others(job: Job, tmp_path: Path, seed: int) -> Job:
    """A volume with weights that no other test exports."""
    tiny_llama(tmp_path / "volume", seed=seed)
    job.environment["LLM_SOURCE_URI"] = f"pvc://{tmp_path}/volume"
    return job


def test_the_four_steps_store_a_model_that_can_be_fetched(job: Job, tmp_path: Path) -> None:
    message = job.run_all()
    assert message["ok"], message
    assert message["family"] == "llama"
    assert len(message["resolvedRevision"]) == 40
    assert message["image"].endswith("@" + message["digest"])
    reference = parse_reference(message["image"])
    stored = fetch(reference, tmp_path / "model", PLAIN)
    assert stored.size_bytes == message["sizeBytes"]
    manifest = verify_artifact(tmp_path / "model")
    assert manifest.source.uri == f"hf://{MODEL}@{message['resolvedRevision']}"


def test_a_second_job_finds_the_artifact_and_ends_at_once(job: Job, tmp_path: Path) -> None:
    first = job.call_all()
    again = Job(tmp_path / "again", job.registry, job.environment)
    fetched = again.run("fetch")
    assert fetched["existed"]
    assert not (again.work / "source").exists() or not any((again.work / "source").iterdir())
    second = again.call_all()
    assert second["existed"]
    for name in ("image", "digest", "key", "sizeBytes", "resolvedRevision", "family"):
        assert second[name] == first[name]


def test_an_artifact_is_not_visible_before_push(
    job: Job, tmp_path: Path, registry: OciRegistry
) -> None:
    job = unlike_others(job, tmp_path, seed=11)
    for step in ("fetch", "export", "verify"):
        message = job.call(step)
    target = parse_reference(f"{registry.host}/llm-operator/artifacts:{message['key']}")
    assert find(target, PLAIN) is None
    assert job.call("push")["existed"] is False
    assert find(target, PLAIN) is not None


def test_an_artifact_that_lost_a_layer_is_exported_again(
    job: Job, tmp_path: Path, registry: OciRegistry
) -> None:
    job = unlike_others(job, tmp_path, seed=12)
    first = job.call_all()
    stored = find(parse_reference(first["image"]), PLAIN)
    assert stored is not None
    for blob in (registry.storage / "docker/registry/v2/blobs/sha256").glob("*/*/data"):
        if blob.stat().st_size > 30_000:
            blob.unlink()
    second = Job(tmp_path / "again", job.registry, job.environment).call_all()
    assert second["ok"], second
    assert not second["existed"]
    assert second["digest"] == first["digest"]
    fetch(parse_reference(second["image"]), tmp_path / "model", PLAIN)


def test_an_artifact_of_ours_is_a_source_too(job: Job, tmp_path: Path) -> None:
    first = job.call_all()
    again = Job(tmp_path / "again", job.registry, job.environment)
    again.environment = {"LLM_SOURCE_URI": f"oci://{first['image']}"}
    message = again.call_all()
    assert message["ok"], message
    assert (message["digest"], message["existed"]) == (first["digest"], True)


BAD = {
    "unknown architecture": ({"LLM_SOURCE_URI": "hf://acme/unknown"}, "UnsupportedArchitecture"),
    "remote code": ({"LLM_SOURCE_URI": "hf://acme/remote-code"}, "UnsupportedArchitecture"),
    "ONNX only": ({"LLM_SOURCE_URI": "hf://acme/onnx"}, "PreExportedUnsupported"),
    "no such repository": ({"LLM_SOURCE_URI": "hf://acme/none"}, "FileNotFound"),
    "no such revision": ({"LLM_SOURCE_URI": f"hf://{MODEL}@v9"}, "FileNotFound"),
    "gated repository": ({"LLM_SOURCE_URI": "hf://acme/private"}, "AuthFailed"),
    "broken weights": ({"LLM_SOURCE_URI": "hf://acme/broken"}, "ExportFailed"),
    "no such folder": ({"LLM_SOURCE_URI": "pvc:///none"}, "FileNotFound"),
    "too little memory": ({"LLM_MEMORY_LIMIT_BYTES": "1000000"}, "InsufficientMemory"),
    "unknown precision": ({"LLM_EXPORT_PRECISION": "int4"}, "ExportFailed"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_its_own_reason_and_is_not_tried_again(job: Job, case: str) -> None:
    job.environment |= BAD[case][0]
    if case == "too little memory":
        # Another precision of the key's source: the artifact must not exist yet.
        job.environment["LLM_ARTIFACT_REPOSITORY"] = f"{job.registry}/llm-operator/memory"
    message = job.call_all()
    assert (message["ok"], message["reason"]) == (False, BAD[case][1])
    assert message["retryable"] is False
    assert ";" in message["message"], "says what to do"


def test_a_chat_template_that_does_not_compile_fails_the_export(job: Job, tmp_path: Path) -> None:
    job = unlike_others(job, tmp_path, seed=13)
    template = tmp_path / "volume" / "chat_template.jinja"
    template.write_text("{{ (7 ** 3000000) | string | length }}")
    message = job.call_all()
    assert (message["ok"], message["reason"]) == (False, "ExportFailed")
    assert "chat template does not compile" in message["message"]
    assert message["retryable"] is False


def test_a_hub_that_is_away_is_worth_another_try(job: Job) -> None:
    job.environment["LLM_SOURCE_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
    message = job.call("fetch")
    assert (message["reason"], message["retryable"]) == ("SourceUnreachable", True)


def test_a_registry_that_is_away_is_worth_another_try(job: Job) -> None:
    job.environment["LLM_ARTIFACT_REPOSITORY"] = f"127.0.0.1:{free_port()}/artifacts"
    message = job.call("fetch")
    assert (message["reason"], message["retryable"]) == ("RegistryUnavailable", True)


def test_a_granted_token_opens_a_gated_repository_and_is_never_shown(
    job: Job, tmp_path: Path
) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "HF_TOKEN").write_text("granted\n")
    job.environment |= {
        "LLM_SOURCE_URI": "hf://acme/private",
        "LLM_SOURCE_TOKEN_FILE": str(tmp_path / "credentials"),
    }
    assert job.call_all()["ok"]
    left = [path for path in job.folder.rglob("*") if path.is_file()]
    assert not any(b"granted" in path.read_bytes() for path in left)


def test_a_failed_step_leaves_no_artifact(job: Job) -> None:
    job.environment |= {
        "LLM_MEMORY_LIMIT_BYTES": "1000000",
        "LLM_ARTIFACT_REPOSITORY": f"{job.registry}/llm-operator/nothing",
    }
    assert not job.call_all()["ok"]
    assert [path.name for path in job.work.iterdir() if "artifact" in path.name] == []


def test_the_state_between_the_steps_is_json(job: Job) -> None:
    message = job.call("fetch")
    state = json.loads((job.work / "state.json").read_text())
    assert state["key"] == message["key"]
