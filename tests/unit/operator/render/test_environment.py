"""The environment of a pod: what the operator renders is what the runtime reads, both for real."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_operator.api.llmdeployment import parse_llmdeployment
from llm_operator.api.source import parse_uri
from llm_operator.reconcile.world import OperatorSettings
from llm_operator.render.artifact import Artifact
from llm_operator.render.export_job import Export, export_job
from llm_operator.render.pod_template import Serving, pod_template
from llm_runtime.job.settings import read_job_settings
from llm_runtime.model.source import HttpSource, HubSource, VolumeSource, parse_source
from llm_runtime.settings import read_settings
from support import worlds

ARTIFACT = Artifact(
    repository="llm-operator/artifacts",
    digest=worlds.DIGEST,
    size_bytes=1,
    resolved_revision="",
    precision="fp32",
    family="llama",
)
OF_THE_COMMAND_LINE = {"LLM_TERMINATION_LOG"}
"""Read before the settings are, so that a bad setting can be told there."""

DOWNWARD = {"LLM_CPU_LIMIT": "2000", "LLM_MEMORY_LIMIT_BYTES": "1073741824"}

FULL = {
    "model": {"source": {"uri": "pvc://claim/a"}, "credentials": {"secretRef": {"name": "s"}}},
    "runtime": {
        "maxContextLength": 64,
        "maxConcurrentSequences": 2,
        "maxQueue": 0,
        "maxQueuedTokens": 128,
    },
    "service": {"port": 8080},
    "drain": {"timeoutSeconds": 0},
    "routing": {"requestTimeoutSeconds": 5, "maxConnectionAgeSeconds": 7},
}


class Recorded(dict[str, str]):
    """An environment that remembers what was asked for."""

    def __init__(self, container: dict[str, Any]) -> None:
        super().__init__(
            {v["name"]: v.get("value", DOWNWARD.get(v["name"], "text")) for v in container["env"]}
        )
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.read.add(key)
        return super().__getitem__(key)

    @property
    def unread(self) -> set[str]:
        return self.keys() - self.read - OF_THE_COMMAND_LINE


def serving_container(spec: dict[str, Any]) -> Recorded:
    deployment = parse_llmdeployment(worlds.manifest(spec))
    assert deployment.spec is not None, deployment.invalid
    serving = Serving(deployment, deployment.spec, "0badcafe", ARTIFACT, worlds.SETTINGS)
    (container,) = pod_template(serving)["spec"]["containers"]
    return Recorded(container)


def export_containers(spec: dict[str, Any], settings: OperatorSettings) -> list[Recorded]:
    deployment = parse_llmdeployment(worlds.manifest(spec))
    assert deployment.spec is not None, deployment.invalid
    pod = export_job(Export(deployment, deployment.spec, settings))["spec"]["template"]["spec"]
    return [Recorded(container) for container in (*pod["initContainers"], *pod["containers"])]


@pytest.mark.parametrize("spec", [{}, FULL], ids=["minimal", "full"])
def test_serve_reads_every_variable_that_it_is_given(spec: dict[str, Any]) -> None:
    given = serving_container(spec)
    settings = read_settings(given)
    assert given.unread == set()
    assert settings.deployment == "demo"
    assert settings.cpu_limit == 2000


def test_serve_gets_the_limits_of_the_spec() -> None:
    settings = read_settings(serving_container(FULL))
    limits = settings.max_context_length, settings.max_concurrent_sequences, settings.max_queue
    assert limits == (64, 2, 0)
    assert settings.max_queued_tokens == 128
    assert (settings.data_port, settings.control_port, settings.metrics_port) == (8080, 50052, 9090)
    assert settings.drain_timeout_seconds == 0
    assert settings.request_timeout_seconds == 5
    assert settings.max_connection_age_seconds == 7


@pytest.mark.parametrize(
    "uri", ["hf://a/b@v1", "pvc://claim/a", "pvc://claim", f"https://h/x.tar#sha256={'0' * 64}"]
)
def test_each_step_of_the_export_reads_every_variable_that_it_is_given(uri: str) -> None:
    spec = {"model": {"source": {"uri": uri}, "credentials": {"secretRef": {"name": "s"}}}}
    settings = worlds.settings(hf_endpoint="http://hub.example")
    for variables in export_containers(spec, settings):
        read = read_job_settings(variables)
        assert variables.unread == set()
        assert read.work == Path("/work")
        assert read.registry.plain_http is True
        assert read.control_port == 50052
        assert read.memory_limit == 1073741824


NAMES = st.text("aZ0._-", min_size=1, max_size=100)
ADDRESSES = st.one_of(
    st.builds("hf://{}".format, NAMES),
    st.builds("hf://{}/{}@{}".format, NAMES, NAMES, st.text("aZ0._/-", min_size=1, max_size=300)),
    st.builds(
        "pvc://claim/{}".format,
        st.lists(st.sampled_from(["a", "/", ".", "%2e", "%2F", "%00", "%20", "\0", "é"])).map(
            "".join
        ),
    ),
    st.builds(
        "{}://{}/{}#sha256={}".format,
        st.sampled_from(["http", "https"]),
        st.text("a1.:[]", max_size=8),
        st.text(max_size=20),
        st.just("0" * 64),
    ),
)


@given(ADDRESSES)
@example("hf://gpt2")
@example("hf://" + "a" * 96)
@example("hf://a@" + "v" * 256)
@example("pvc://claim/%2e%2e/x")
@example("pvc://claim/" + "a" * 1520)
@example(f"http://:80/x#sha256={'0' * 64}")
@example(f"http://[a]/x#sha256={'0' * 64}")
def test_every_source_that_the_operator_takes_is_understood_by_the_export(uri: str) -> None:
    try:
        source = parse_uri(uri)
    except ValueError:
        return
    match parse_source(source.job_uri):
        case HubSource(repository, revision):
            assert source.uri == f"hf://{repository}@{revision}"
        case VolumeSource(folder):
            assert folder.is_relative_to("/source")
            assert ".." not in folder.parts
        case HttpSource(url, sha256):
            assert source.uri == f"{url}#sha256={sha256}"
        case other:
            raise AssertionError(other)
