from pathlib import Path

import pytest

from llm_client.address import Model, address_of, own_namespace, places_of
from llm_client.ways import Way


@pytest.mark.parametrize(
    "target",
    [
        "demo.team.svc:50051",
        "localhost:1",
        "10.0.0.1:1",
        "dns:///demo",
        "xds:///a.b",
        "unix:/tmp/x",
    ],
)
def test_what_has_a_colon_a_slash_or_a_dot_is_an_address(target: str) -> None:
    assert address_of(target, None, None) is None


def test_a_bare_name_is_an_llmdeployment() -> None:
    assert address_of("qwen", "team", None) == Model("qwen", "team", 50051)


def test_its_port_can_be_another() -> None:
    assert address_of("qwen", "team", 8080) == Model("qwen", "team", 8080)


def test_outside_of_a_pod_the_namespace_is_default() -> None:
    assert own_namespace(Path("/nowhere/namespace")) == "default"


def test_the_namespace_is_the_pods_own(tmp_path: Path) -> None:
    path = tmp_path / "namespace"
    path.write_text("team\n")
    assert own_namespace(path) == "team"


@pytest.mark.parametrize(("namespace", "port"), [("team", None), (None, 8080)])
def test_what_an_address_says_itself_is_not_given_twice(
    namespace: str | None, port: int | None
) -> None:
    named = "port" if namespace is None else "namespace"
    with pytest.raises(ValueError, match=f"^{named}: 'a.b:1' is an address"):
        address_of("a.b:1", namespace, port)


@pytest.mark.parametrize("name", ["", "Qwen", "-a", "a-", "a_b", "a" * 64, "é", "a\n"])
def test_a_name_that_kubernetes_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^target: .* is no Kubernetes name"):
        address_of(name, "team", None)
    with pytest.raises(ValueError, match=r"^namespace: .* is no Kubernetes name"):
        address_of("qwen", name, None)


def test_a_name_may_be_as_long_as_kubernetes_allows() -> None:
    assert address_of("a" * 63, "0", None) == Model("a" * 63, "0")


def test_a_model_has_a_target_for_every_way() -> None:
    places = places_of(Model("qwen", "team", 8080), "plane:18000")
    assert places.control_plane == "plane:18000"
    assert places.target(Way.XDS) == "xds:///qwen.team"
    assert places.target(Way.PODS) == "dns:///qwen-pods.team.svc:8080"
    assert places.target(Way.SERVICE) == "dns:///qwen.team.svc:8080"
