"""The control port: everything but health needs the operator's token, and there is no open mode."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from llm_client.v1 import control_pb2
from support.runtime_pod import SUBJECT, Operator, Pod, running_pod

METHODS = [
    f"/{service.full_name}/{method.name}"
    for service in control_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
] + [
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/llm.v1.Control/NoSuchMethod",
    "/llm.v1.Inference/Generate",
    "/no.such.Service/Method",
]
Metadata = tuple[tuple[str, str], ...]


@pytest.fixture
async def pod(artifact: Path, operator: Operator) -> AsyncIterator[Pod]:
    async with running_pod(artifact, control_auth_file=operator.file) as running:
        yield running


async def code_of(
    pod: Pod, metadata: Metadata, method: str = "/llm.v1.Control/GetLoad"
) -> grpc.StatusCode:
    call = pod.control_channel.unary_unary(method, None, None)
    try:
        await call(b"", metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def unsigned(operator: Operator) -> str:
    """The good token's claims with the algorithm none."""
    _, claims, _ = operator.token().split(".")
    header = _encoded(json.dumps({"alg": "none", "kid": operator.kid}).encode())
    return f"{header}.{claims}."


def signed_with_the_public_key(operator: Operator) -> str:
    """HS256 with what everybody can read as the secret."""
    _, claims, _ = operator.token().split(".")
    header = _encoded(json.dumps({"alg": "HS256", "kid": operator.kid}).encode())
    public = operator.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.digest(public, f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{_encoded(signature)}"


def bad_metadata(operator: Operator) -> dict[str, Metadata]:
    stranger = replace(operator, key=ec.generate_private_key(ec.SECP256R1()))
    good = operator.token()
    return {
        "no token": (),
        "an empty token": bearer(""),
        "another scheme": (("authorization", f"Basic {good}"),),
        "two tokens": bearer(good) + bearer(good),
        "noise": bearer("a.b.c"),
        "a cut token": bearer(good[:-4]),
        "an expired token": operator.metadata(exp=1_600_000_000),
        "no expiry": operator.metadata(exp=None),
        "not valid yet": operator.metadata(nbf=4_000_000_000),
        "another audience": operator.metadata(aud=["https://kubernetes.default.svc"]),
        "no audience": operator.metadata(aud=None),
        "another issuer": operator.metadata(iss="https://elsewhere"),
        "another subject": operator.metadata(sub="system:serviceaccount:llm-system:default"),
        "nearly the subject": operator.metadata(sub=SUBJECT + "x"),
        "an unknown key id": operator.metadata(kid="key-2"),
        "another key": stranger.metadata(),
        "algorithm none": bearer(unsigned(operator)),
        "a symmetric algorithm": bearer(signed_with_the_public_key(operator)),
    }


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_is_refused_without_a_token(pod: Pod, method: str) -> None:
    assert await code_of(pod, (), method) is grpc.StatusCode.UNAUTHENTICATED


async def test_every_wrong_token_is_refused_with_the_same_words(
    pod: Pod, operator: Operator
) -> None:
    answers = set()
    for name, metadata in bad_metadata(operator).items():
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pod.control.GetLoad(control_pb2.GetLoadRequest(), metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED, name
        answers.add(caught.value.details())
    assert len(answers) == 1


async def test_the_operators_token_opens_the_port(pod: Pod, operator: Operator) -> None:
    assert await code_of(pod, operator.metadata()) is grpc.StatusCode.OK


async def test_a_good_token_does_not_make_methods_exist(pod: Pod, operator: Operator) -> None:
    code = await code_of(pod, operator.metadata(), "/llm.v1.Inference/Generate")
    assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_health_needs_no_token(pod: Pod) -> None:
    assert await pod.health("readiness") == "SERVING"


async def test_a_new_key_counts_as_soon_as_the_file_changes(pod: Pod, operator: Operator) -> None:
    successor = replace(operator, key=ec.generate_private_key(ec.SECP256R1()), kid="key-2")
    before = await code_of(pod, successor.metadata())
    successor.write_trust()
    assert before is grpc.StatusCode.UNAUTHENTICATED
    assert await code_of(pod, successor.metadata()) is grpc.StatusCode.OK
    assert await code_of(pod, operator.metadata()) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"issuer": "", "audience": "", "subject": ""}']
)
async def test_a_file_that_cannot_be_used_closes_the_port(
    pod: Pod, operator: Operator, content: str
) -> None:
    operator.file.write_text(content)
    assert await code_of(pod, operator.metadata()) is grpc.StatusCode.UNAUTHENTICATED


async def test_without_a_file_the_port_is_closed_until_there_is_one(
    pod: Pod, operator: Operator
) -> None:
    operator.file.unlink()
    assert await code_of(pod, operator.metadata()) is grpc.StatusCode.UNAUTHENTICATED
    operator.write_trust()
    assert await code_of(pod, operator.metadata()) is grpc.StatusCode.OK


async def test_without_the_setting_every_control_call_is_refused(
    artifact: Path, operator: Operator
) -> None:
    async with running_pod(artifact) as pod:
        assert await code_of(pod, operator.metadata()) is grpc.StatusCode.UNAUTHENTICATED
