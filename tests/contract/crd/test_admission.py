"""What the API server itself says to objects of ours, without any operator."""

from typing import Any

import pytest

from .conftest import Kubectl

pytestmark = pytest.mark.timeout(180)

SHA = "ab" * 32
MINIMAL = {"source": {"uri": "hf://llm/demo@main"}}


def llmdeployment(spec: dict[str, Any], name: str = "demo") -> dict[str, Any]:
    return {
        "apiVersion": "llm-operator.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name},
        "spec": spec,
    }


def uri(text: str) -> dict[str, Any]:
    return {"model": {"source": {"uri": text}}}


def runtime(**fields: Any) -> dict[str, Any]:
    return {"model": MINIMAL, "runtime": fields}


def service_annotations(given: dict[str, str]) -> dict[str, Any]:
    return {"model": MINIMAL, "service": {"annotations": given}}


def autoscaling(**fields: Any) -> dict[str, Any]:
    return {"model": MINIMAL, "autoscaling": {"maxReplicas": 4, **fields}}


def schedule(**fields: Any) -> dict[str, Any]:
    whole = {"cron": "0 8 * * 1-5", "durationSeconds": 3600, "minReplicas": 2, **fields}
    return autoscaling(schedules=[whole])


def canary(*steps: dict[str, Any]) -> dict[str, Any]:
    rollout = {"strategy": "Canary"} | ({"steps": list(steps)} if steps else {})
    return {"model": MINIMAL, "rollout": rollout}


def gateway(*parents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": MINIMAL, "routing": {"gateway": {"parentRefs": list(parents), **fields}}}


@pytest.mark.parametrize("cron", ["0 8 * * 1-5", "*/5 0,12 1-7 * *", "59 23 31 12 7"])
def test_a_schedule_that_can_come_is_taken(kubectl: Kubectl, cron: str) -> None:
    spec = schedule(cron=cron, timeZone="Europe/Berlin")
    answer = kubectl("create", "--dry-run=server", "-f", "-", given=llmdeployment(spec))
    assert answer.is_ok, answer.text


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {
                "model": {
                    "source": {"uri": "hf://a/b", "http": {"url": "http://h/x", "sha256": SHA}}
                }
            },
            "spec.model.source: give exactly one of uri, huggingFace, persistentVolumeClaim, http",
        ),
        ({"model": {"source": {}}}, "spec.model.source: give exactly one of"),
        ({}, "spec.model: Required value"),
        ({"model": MINIMAL, "colour": "red"}, 'unknown field "spec.colour"'),
        (uri("https://h/x"), "spec.model.source.uri: an http(s) source needs the digest"),
        (uri(f"https://a:b@h/x#sha256={SHA}"), "spec.model.source.uri: no user or password"),
        (uri(f"https://h/x y#sha256={SHA}"), "spec.model.source.uri: http(s)://host"),
        (uri("s3://bucket"), "spec.model.source.uri: s3:// and oci:// are not supported yet"),
        (uri("ftp://h/x"), "spec.model.source.uri: begins with hf://"),
        (uri("hf://a/b/c"), "spec.model.source.uri: a Hugging Face source is hf://"),
        (uri("pvc://c/../d"), "spec.model.source.uri: a volume source is pvc://claim/path"),
        (uri("pvc://c/%2E%2e/d"), "spec.model.source.uri: a volume source is pvc://claim/path"),
        (uri(f"hf://{'a' * 97}"), "spec.model.source.uri: a Hugging Face source is hf://"),
        (
            {"model": {"source": {"persistentVolumeClaim": {"claimName": "c", "path": "../d"}}}},
            "spec.model.source.persistentVolumeClaim.path: must stay inside the volume",
        ),
        (
            runtime(resources={"limits": {"cpu": 1}, "requests": {"cpu": "1500m"}}),
            "resources.requests: a request is larger than the limit",
        ),
        (runtime(resources={"limits": {"cpu": "much"}}), "spec.runtime.resources.limits.cpu"),
        (runtime(env=[{"name": "LLM_REVISION", "value": "x"}]), "belong to the operator"),
        (runtime(env=[{"name": "A"}, {"name": "A"}]), "spec.runtime.env[1]: Duplicate value"),
        (runtime(device="tpu"), 'supported values: "auto", "cpu", "cuda"'),
        (runtime(maxQueue=-1), "spec.runtime.maxQueue"),
        ({"model": MINIMAL, "service": {"port": 9090}}, "spec.service.port: 50052 (control)"),
        ({"model": MINIMAL, "service": {"port": 80}}, "spec.service.port"),
        (
            service_annotations({"llm-operator.dev/activator-port": "20001"}),
            "spec.service.annotations: keys that begin with llm-operator.dev/ belong to the",
        ),
        ({"model": MINIMAL, "replicas": -1}, "spec.replicas"),
        ({"model": MINIMAL, "disruption": {"maxUnavailable": "half"}}, "maxUnavailable"),
        ({"model": MINIMAL, "rollout": {"maxSurge": 0}}, "spec.rollout.maxSurge"),
        (autoscaling(minReplicas=5), "spec.autoscaling: minReplicas is greater than maxReplicas"),
        (autoscaling(scaleToZero={}), "spec.autoscaling.scaleToZero: needs minReplicas: 0"),
        (autoscaling(metric="Queue"), 'supported values: "Tokens", "Concurrency"'),
        (autoscaling(targets={"timeToFirstTokenP90": "0s"}), "timeToFirstTokenP90"),
        (autoscaling(targets={"interTokenLatencyP90": "5"}), "interTokenLatencyP90"),
        (
            autoscaling(panic={"windowSeconds": 30}, stableWindowSeconds=10),
            "spec.autoscaling.panic.windowSeconds: greater than stableWindowSeconds",
        ),
        (autoscaling(minReplicas=-1), "spec.autoscaling.minReplicas"),
        (autoscaling(maxReplicas=0), "spec.autoscaling.maxReplicas"),
        (autoscaling(mode="Auto"), 'supported values: "Active", "Advisory"'),
        (autoscaling(targets={"utilization": 0}), "spec.autoscaling.targets.utilization"),
        (autoscaling(targets={"utilization": 101}), "spec.autoscaling.targets.utilization"),
        (
            autoscaling(scaleUp={"policies": [{"type": "Pods", "value": 0, "periodSeconds": 15}]}),
            "spec.autoscaling.scaleUp.policies[0].value",
        ),
        (
            autoscaling(scaleDown={"stabilizationWindowSeconds": -1}),
            "spec.autoscaling.scaleDown.stabilizationWindowSeconds",
        ),
        (autoscaling(panic={"thresholdPercent": 100}), "spec.autoscaling.panic.thresholdPercent"),
        (autoscaling(stableWindowSeconds=0), "spec.autoscaling.stableWindowSeconds"),
        (schedule(minReplicas=9), "a schedule's minReplicas is greater than maxReplicas"),
        (schedule(cron="61 8 * * *"), "spec.autoscaling.schedules.cron: five fields"),
        (schedule(cron="every morning"), "spec.autoscaling.schedules.cron: five fields"),
        (schedule(cron="0 8 31 4,6 *"), "spec.autoscaling.schedules.cron: no such day"),
        (schedule(cron="0 8 30-31 2 *"), "spec.autoscaling.schedules.cron: no such day"),
        (schedule(cron="0 18-8 * * *"), "spec.autoscaling.schedules.cron: a range that ends"),
        (schedule(cron="0 8 * * 1,5-2/2"), "spec.autoscaling.schedules.cron: a range that ends"),
        (schedule(durationSeconds=5), "durationSeconds"),
        (schedule(timeZone="../etc"), "timeZone"),
        (schedule(timeZone="Europe/Pariss"), "schedules.timeZone: no such time zone; take"),
        ({"model": MINIMAL, "autoscaling": {"minReplicas": 1}}, "spec.autoscaling.maxReplicas"),
        (canary(), "spec.rollout.steps: strategy Canary needs steps"),
        (canary({"setWeight": 0}), "spec.rollout.steps[0].setWeight"),
        (canary({"setWeight": 101}), "spec.rollout.steps[0].setWeight"),
        (canary({}), "spec.rollout.steps: exactly one of setWeight, pause"),
        (canary({"setWeight": 5, "pause": {}}), "spec.rollout.steps: exactly one of"),
        (canary({"setWeight": 50}, {"pause": {}}, {"setWeight": 10}), "setWeight must not fall"),
        (
            {"model": MINIMAL, "rollout": {"steps": [{"pause": {}}]}},
            "spec.rollout.steps: only with strategy: Canary",
        ),
        ({"model": MINIMAL, "routing": {"policy": "Random"}}, 'supported values: "LeastLoad"'),
        (
            {"model": MINIMAL, "routing": {"gateway": {}}},
            "spec.routing.gateway.parentRefs: Required",
        ),
        (gateway(), "spec.routing.gateway.parentRefs"),
        (gateway({"namespace": "infra"}), "spec.routing.gateway.parentRefs[0].name: Required"),
        (gateway({"name": "a", "port": 0}), "spec.routing.gateway.parentRefs[0].port"),
        (
            gateway({"name": "a"}, {"name": "a", "sectionName": "one"}),
            "spec.routing.gateway.parentRefs: the same Gateway more than once needs a sectionName",
        ),
        (
            gateway({"name": "a", "sectionName": "one"}, {"name": "a", "sectionName": "one"}),
            "spec.routing.gateway.parentRefs: the same Gateway more than once needs a sectionName",
        ),
        (
            gateway({"name": "a"}, hostnames=["Not a name"]),
            "spec.routing.gateway.hostnames[0]",
        ),
        (
            gateway({"name": "a"}, hostnames=["10.0.0.1"]),
            "spec.routing.gateway.hostnames: names, no addresses",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_a_sentence_that_names_the_field(
    kubectl: Kubectl, spec: dict[str, Any], sentence: str
) -> None:
    answer = kubectl("create", "--dry-run=server", "-f", "-", given=llmdeployment(spec))
    assert not answer.is_ok
    assert sentence in answer.text


@pytest.mark.parametrize("name", ["a" * 41, "1st", "with.dot"])
def test_a_name_that_children_cannot_append_to_is_refused(kubectl: Kubectl, name: str) -> None:
    given = llmdeployment({"model": MINIMAL}, name)
    answer = kubectl("create", "--dry-run=server", "-f", "-", given=given)
    assert not answer.is_ok
    assert "metadata.name: at most 40 characters" in answer.text


@pytest.mark.parametrize(
    "spec",
    [
        uri("hf://gpt2"),
        uri("hf://org/name@0123abcd"),
        uri("pvc://claim/a/b"),
        uri("pvc://claim"),
        uri(f"https://h:8443/x.tar?v=1#sha256={SHA}"),
        {"model": {"source": {"http": {"url": "http://h/x", "sha256": SHA}}}},
        runtime(
            resources={"limits": {"cpu": "0.5", "nvidia.com/gpu": 1}, "requests": {"cpu": "500m"}}
        ),
        service_annotations({"example.com/llm-operator.dev": "mine", "plain": "x"}),
        {"model": MINIMAL, "disruption": {"maxUnavailable": "50%"}},
        {"model": MINIMAL, "replicas": 0, "suspend": True},
        canary(
            {"setWeight": 10}, {"pause": {"durationSeconds": 60}}, {"setWeight": 10}, {"pause": {}}
        ),
        {"model": MINIMAL, "routing": {"policy": "PrefixAffinity"}},
        gateway({"name": "a"}, {"name": "a", "namespace": "infra"}, hostnames=["*.example.com"]),
        gateway(
            {"name": "a", "sectionName": "one", "port": 443}, {"name": "a", "sectionName": "two"}
        ),
    ],
)
def test_a_good_spec_is_taken(kubectl: Kubectl, spec: dict[str, Any]) -> None:
    kubectl.must("create", "--dry-run=server", "-f", "-", given=llmdeployment(spec))


def test_a_fresh_minimal_object_waits_for_the_operator_and_can_be_scaled(kubectl: Kubectl) -> None:
    given = llmdeployment({"model": MINIMAL}, "fresh")
    kubectl.must("apply", "-f", "-", given=given)
    status = kubectl.must("get", "llmd", "fresh", "-o", "json").json["status"]
    assert status["observedGeneration"] == -1
    assert status["conditions"][0]["message"] == "Waiting for the operator"
    kubectl.must("scale", "llmd/fresh", "--replicas=3")
    kubectl.must("apply", "-f", "-", given=given)  # as GitOps does, again and again
    spec = kubectl.must("get", "llmd", "fresh", "-o", "json").json["spec"]
    assert spec["replicas"] == 3


def test_the_table_has_the_documented_columns(kubectl: Kubectl) -> None:
    kubectl.must("apply", "-f", "-", given=llmdeployment({"model": MINIMAL}, "table"))
    short, *_ = kubectl.must("get", "llmd").text.splitlines()
    wide, *_ = kubectl.must("get", "llmd", "-o", "wide").text.splitlines()
    columns = " ".join(short.split())
    assert columns == "NAME MODEL READY REASON PODS DESIRED REVISION ROLLOUT WEIGHT AGE"
    assert " ".join(wide.split()[-7:]) == "STABLE MIN MAX MODEL-STATE ADDRESS MESSAGE SCALING"
    assert "llmdeployment.llm-operator.dev/table" in kubectl.must("get", "llm", "-o", "name").text
