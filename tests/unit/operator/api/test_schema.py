"""The CRD and the typed spec say the same."""

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from llm_operator.api.llmdeployment import LLMDeploymentSpec

CRD = Path(__file__).resolve().parents[4] / "crds" / "llmdeployments.yaml"
SIZE_LIMIT = 200 * 1024

Schema = dict[str, Any]


def crd() -> Schema:
    loaded: Schema = yaml.safe_load(CRD.read_text())
    return loaded


def version() -> Schema:
    (only,) = crd()["spec"]["versions"]
    return dict(only)


def spec_schema() -> Schema:
    return dict(version()["schema"]["openAPIV3Schema"]["properties"]["spec"])


def schema_fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    for name, part in schema.get("properties", {}).items():
        yield f"{path}{name}", part
        yield from schema_fields(part, f"{path}{name}.")


def model_fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    for info in model.model_fields.values():
        yield f"{path}{info.alias}", info.annotation
        if (nested := nested_model(info.annotation)) is not None:
            yield from model_fields(nested, f"{path}{info.alias}.")


def nested_model(annotation: Any) -> type[BaseModel] | None:
    options = get_args(annotation) if is_union(annotation) else (annotation,)
    found = (o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return next(found, None)


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def choices(annotation: Any) -> set[str] | None:
    options = get_args(annotation) if is_union(annotation) else (annotation,)
    found = [set(get_args(o)) for o in options if get_origin(o) is Literal]
    return found[0] if found else None


def test_every_field_of_the_crd_is_read_and_every_field_read_is_in_the_crd() -> None:
    typed = {path for path, _ in model_fields(LLMDeploymentSpec)}
    free = {path for path in typed if path.rpartition(".")[2] in ("resources", "affinity")}
    shown = {path for path, _ in schema_fields(spec_schema())}
    shown = {path for path in shown if not any(path.startswith(f"{f}.") for f in free)}
    assert shown == typed


def test_the_choices_of_the_crd_are_those_of_the_typed_spec() -> None:
    schema = dict(schema_fields(spec_schema()))
    for path, annotation in model_fields(LLMDeploymentSpec):
        if (wanted := choices(annotation)) is not None:
            assert set(schema[path]["enum"]) == wanted, path


def test_it_is_small_enough_for_a_client_side_apply() -> None:
    assert CRD.stat().st_size <= SIZE_LIMIT
    assert len(json.dumps(crd())) <= SIZE_LIMIT


def test_whatever_a_rule_iterates_is_bounded() -> None:
    for path, schema in schema_fields(version()["schema"]["openAPIV3Schema"]):
        if schema.get("type") == "array" and path.startswith("spec."):
            assert "maxItems" in schema, path
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, path


def test_every_string_of_the_spec_is_bounded() -> None:
    for path, schema in schema_fields(spec_schema()):
        is_bounded = {"maxLength", "enum", "pattern"} & schema.keys()
        assert schema.get("type") != "string" or is_bounded, path


def test_a_fresh_status_is_never_current() -> None:
    status = version()["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert status["default"]["observedGeneration"] == -1


def schemas(schema: Schema) -> Iterator[Schema]:
    """The schema and every one inside of it."""
    yield schema
    parts = [*schema.get("properties", {}).values(), schema.get("items")]
    parts.append(schema.get("additionalProperties"))
    for part in parts:
        if isinstance(part, dict):
            yield from schemas(part)


def test_every_word_of_the_schema_is_one_that_a_strict_server_knows() -> None:
    """A comma in an unquoted description makes a field of its rest: `helm install` refuses it."""
    known = set(
        [
            "type",
            "format",
            "description",
            "default",
            "enum",
            "pattern",
            "properties",
            "required",
            "items",
            "nullable",
            "additionalProperties",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "anyOf",
            "x-kubernetes-validations",
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-map-type",
        ]
    )
    root = version()["schema"]["openAPIV3Schema"]
    foreign = {word for schema in schemas(root) for word in schema} - known
    assert not foreign
