"""Rendered pods: what the runtime and the export need, and never more rights."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.api.llmdeployment import parse_llmdeployment
from llm_operator.render import names
from llm_operator.render.artifact import Artifact
from llm_operator.render.export_job import Export, export_job
from llm_operator.render.pod_template import Serving, pod_template
from support import worlds
from support.restricted import violations

ARTIFACT = Artifact(
    repository="llm-operator/artifacts",
    digest=worlds.DIGEST,
    size_bytes=100 * 2**20,
    resolved_revision="c0ffee",
    precision="fp32",
    family="llama",
)
IMAGE = f"{worlds.SETTINGS.registry}/llm-operator/artifacts@{worlds.DIGEST}"

SPECS = st.fixed_dictionaries(
    {},
    optional={
        "model": st.fixed_dictionaries(
            {"source": st.sampled_from([{"uri": "hf://a/b"}, {"uri": "pvc://claim/x"}])},
            optional={
                "artifact": st.builds(
                    lambda mode: {"mode": mode}, st.sampled_from(["Fetch", "ImageVolume"])
                ),
                "credentials": st.just({"secretRef": {"name": "token"}}),
            },
        ),
        "runtime": st.fixed_dictionaries(
            {},
            optional={
                "image": st.just("own:1"),
                "env": st.just([{"name": "A", "value": "b"}]),
                "resources": st.just({"limits": {"nvidia.com/gpu": 1, "memory": "2Gi"}}),
                "device": st.just("cpu"),
            },
        ),
        "scheduling": st.just(
            {"tolerations": [{"operator": "Exists"}], "nodeSelector": {"a": "b"}}
        ),
        "identity": st.just({"serviceAccountName": "own", "imagePullSecrets": [{"name": "p"}]}),
        "drain": st.builds(lambda n: {"timeoutSeconds": n}, st.integers(0, 3600)),
    },
)


def runtime_pod(spec: dict[str, Any]) -> dict[str, Any]:
    deployment = parse_llmdeployment(worlds.manifest(spec))
    assert deployment.spec is not None, deployment.invalid
    serving = Serving(deployment, deployment.spec, "0badcafe", ARTIFACT, worlds.SETTINGS)
    return dict(pod_template(serving)["spec"])


def export_pod(spec: dict[str, Any]) -> dict[str, Any]:
    deployment = parse_llmdeployment(worlds.manifest(spec))
    assert deployment.spec is not None, deployment.invalid
    job = export_job(Export(deployment, deployment.spec, worlds.SETTINGS))
    return dict(job["spec"]["template"]["spec"])


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    found = (*pod.get("initContainers", ()), *pod["containers"])
    return dict(next(c for c in found if c["name"] == name))


def env(pod: dict[str, Any], name: str) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(pod, name)["env"]}


def mounts(pod: dict[str, Any], name: str) -> set[str]:
    return {mount["mountPath"] for mount in container(pod, name)["volumeMounts"]}


@given(spec=SPECS)
def test_every_rendered_pod_is_restricted(spec: dict[str, Any]) -> None:
    assert list(violations(runtime_pod(spec))) == []
    assert list(violations(export_pod(spec))) == []


@given(spec=SPECS)
def test_no_variable_is_given_twice_and_none_is_empty(spec: dict[str, Any]) -> None:
    for pod in (runtime_pod(spec), export_pod(spec)):
        for found in (*pod.get("initContainers", ()), *pod["containers"]):
            given_names = [variable["name"] for variable in found["env"]]
            assert len(given_names) == len(set(given_names))
            assert all(variable.get("value") != "" for variable in found["env"])


def test_a_pod_fetches_its_artifact_by_digest_into_a_volume_that_fits() -> None:
    pod = runtime_pod({})
    assert container(pod, "fetch")["args"] == ["fetch", f"oci://{IMAGE}", "/model"]
    assert env(pod, "fetch")["LLM_REGISTRY_PLAIN_HTTP"] == "true"
    assert {"name": "model", "emptyDir": {"sizeLimit": "174Mi"}} in pod["volumes"]


def test_an_image_volume_needs_no_init_container() -> None:
    pod = runtime_pod(
        {"model": {"source": {"uri": "hf://a/b"}, "artifact": {"mode": "ImageVolume"}}}
    )
    assert "initContainers" not in pod
    image = {"reference": IMAGE, "pullPolicy": "IfNotPresent"}
    assert {"name": "model", "image": image} in pod["volumes"]


def test_the_grace_period_outlasts_the_drain() -> None:
    assert runtime_pod({})["terminationGracePeriodSeconds"] == 330
    assert runtime_pod({"drain": {"timeoutSeconds": 5}})["terminationGracePeriodSeconds"] == 35


def test_the_runtime_gets_the_contract_of_its_environment() -> None:
    spec = {"runtime": {"maxContextLength": 512, "maxQueue": 0}, "service": {"port": 8080}}
    found = env(runtime_pod(spec), "runtime")
    assert found["LLM_MODEL_DIR"] == "/model"
    assert found["LLM_MODEL_NAME"] == found["LLM_DEPLOYMENT"] == "demo"
    assert found["LLM_MODEL_DIGEST"] == worlds.DIGEST
    assert found["LLM_REVISION"] == "0badcafe"
    assert (found["LLM_DATA_PORT"], found["LLM_CONTROL_PORT"]) == ("8080", "50052")
    assert (found["LLM_MAX_CONTEXT_LENGTH"], found["LLM_MAX_QUEUE"]) == ("512", "0")
    assert "LLM_MAX_CONCURRENT_SEQUENCES" not in found
    assert found["LLM_CPU_LIMIT"]["resourceFieldRef"]["divisor"] == "1m"


def test_an_hpa_on_cpu_finds_a_request_on_the_minimal_object() -> None:
    requests = container(runtime_pod({}), "runtime")["resources"]["requests"]
    assert requests == {"cpu": "250m", "memory": "512Mi"}


def test_a_limit_alone_is_not_undercut_by_a_default_request() -> None:
    resources = {"limits": {"cpu": "2"}}
    found = container(runtime_pod({"runtime": {"resources": resources}}), "runtime")["resources"]
    assert found == {"limits": {"cpu": "2"}, "requests": {"memory": "512Mi"}}


def test_a_device_goes_to_the_serving_container_alone() -> None:
    resources = {"limits": {"nvidia.com/gpu": 1, "cpu": "1", "memory": "1Gi"}}
    pod = runtime_pod({"runtime": {"resources": resources, "device": "cpu"}})
    assert container(pod, "runtime")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in container(pod, "fetch")["resources"]["limits"]


def test_probes_ask_the_control_port_and_know_no_load() -> None:
    found = container(runtime_pod({"rollout": {"startupTimeoutSeconds": 60}}), "runtime")
    services = {
        kind: found[f"{kind}Probe"]["grpc"] for kind in ("startup", "readiness", "liveness")
    }
    assert services == {kind: {"port": 50052, "service": kind} for kind in services}
    assert found["startupProbe"]["failureThreshold"] * found["startupProbe"]["periodSeconds"] == 60


def test_the_user_may_ask_for_no_topology_spread() -> None:
    assert "topologySpreadConstraints" in runtime_pod({})
    none: dict[str, Any] = {"scheduling": {"topologySpreadConstraints": []}}
    assert "topologySpreadConstraints" not in runtime_pod(none)


def test_the_export_runs_its_steps_in_order() -> None:
    pod = export_pod({})
    steps = [c["name"] for c in (*pod["initContainers"], *pod["containers"])]
    assert tuple(steps) == names.EXPORT_STEPS
    assert [container(pod, s)["args"] for s in steps] == [["job", s] for s in steps]


def test_a_token_is_mounted_into_the_fetch_step_only() -> None:
    credentials = {"secretRef": {"name": "token"}}
    pod = export_pod({"model": {"source": {"uri": "hf://a/b"}, "credentials": credentials}})
    where = [s for s in names.EXPORT_STEPS if "/etc/llm/credentials" in mounts(pod, s)]
    assert where == ["fetch"]
    assert env(pod, "fetch")["LLM_SOURCE_TOKEN_FILE"] == "/etc/llm/credentials"


def test_the_users_volume_is_mounted_read_only_into_the_fetch_step() -> None:
    pod = export_pod({"model": {"source": {"uri": "pvc://claim/a"}}})
    claim = {"claimName": "claim", "readOnly": True}
    assert {"name": "source", "persistentVolumeClaim": claim} in pod["volumes"]
    assert [s for s in names.EXPORT_STEPS if "/source" in mounts(pod, s)] == ["fetch"]
    assert env(pod, "fetch")["LLM_SOURCE_URI"] == "pvc:///source/a"


def test_exports_write_to_the_writing_registry() -> None:
    repository = env(export_pod({}), "push")["LLM_ARTIFACT_REPOSITORY"]
    assert repository == f"{worlds.SETTINGS.registry_push}/llm-operator/artifacts"
