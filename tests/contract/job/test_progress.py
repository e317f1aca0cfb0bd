"""GetProgress on the control port: for the operator alone, while the work goes on."""

import json
import time
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_runtime.model.progress import SharedProgress, Step
from llm_runtime.server.export_progress import serving_progress

ISSUER, AUDIENCE = "https://cluster.local", "llm-operator.dev/control"
SUBJECT = "system:serviceaccount:llm-system:llm-operator"


class Operator:
    """Holds the key that the API server signs its tokens with."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def trust(self, path: Path) -> Path:
        key: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        document = {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "subject": SUBJECT,
            "jwks": {"keys": [key | {"kid": "1", "alg": "ES256", "use": "sig"}]},
        }
        path.write_text(json.dumps(document))
        return path

    def token(self, audience: str = AUDIENCE) -> str:
        claims = {"iss": ISSUER, "aud": audience, "sub": SUBJECT, "exp": time.time() + 600}
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": "1"})


def ask(port: int, token: str | None) -> control_pb2.GetProgressResponse:
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = control_pb2_grpc.ExportProgressStub(channel)
        return stub.GetProgress(control_pb2.GetProgressRequest(), metadata=metadata, timeout=5)


def test_the_operator_learns_step_bytes_and_time_left(tmp_path: Path) -> None:
    operator = Operator()
    times = iter([0.0, 10.0])
    progress = SharedProgress(clock=lambda: next(times))
    progress.begin(Step.EXPORT, 400)
    progress.advance(100)
    with serving_progress(progress, 0, operator.trust(tmp_path / "auth.json")) as port:
        assert port is not None
        answer = ask(port, operator.token())
    assert answer.step == control_pb2.EXPORT_STEP_EXPORT
    assert (answer.bytes_done, answer.bytes_total, answer.eta_seconds) == (100, 400, 30)


@pytest.mark.parametrize("given", ["nothing", "garbage", "another audience"])
def test_nobody_else_is_answered(tmp_path: Path, given: str) -> None:
    operator = Operator()
    tokens = {"nothing": None, "garbage": "abc", "another audience": operator.token("others")}
    with serving_progress(SharedProgress(), 0, operator.trust(tmp_path / "auth.json")) as port:
        assert port is not None
        with pytest.raises(grpc.RpcError) as caught:
            ask(port, tokens[given])
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_without_a_trust_file_every_call_is_refused() -> None:
    operator = Operator()
    with serving_progress(SharedProgress(), 0, None) as port:
        assert port is not None
        with pytest.raises(grpc.RpcError) as caught:
            ask(port, operator.token())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_taken_port_does_not_stop_the_work(tmp_path: Path) -> None:
    with (
        serving_progress(SharedProgress(), 0, None) as first,
        serving_progress(SharedProgress(), first, None) as second,
    ):
        assert second is None
