import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from llm_runtime.server.auth import TokenVerifier, UnauthenticatedError, check_token, parse_trust

CLAIMS = {"iss": "https://issuer", "aud": "audience", "sub": "subject", "exp": 4_000_000_000}
KEY = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def document() -> dict[str, object]:
    keys = [
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())), "kid": "ec"},
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rsa"},
    ]
    return {
        "issuer": "https://issuer",
        "audience": "audience",
        "subject": "subject",
        "jwks": {"keys": keys},
    }


TRUST = parse_trust(json.dumps(document()).encode())


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(KEY, "ES256", "ec"), (RSA, "RS256", "rsa")])
def test_both_kinds_of_keys_of_an_api_server_are_understood(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, algorithm: str, kid: str
) -> None:
    check_token(jwt.encode(CLAIMS, key, algorithm, headers={"kid": kid}), TRUST)


def test_a_key_is_never_used_with_the_algorithm_of_another_one() -> None:
    token = jwt.encode(CLAIMS, RSA, "RS256", headers={"kid": "ec"})
    with pytest.raises(UnauthenticatedError):
        check_token(token, TRUST)


def test_an_algorithm_that_is_not_allowed_is_refused_even_with_a_right_signature() -> None:
    token = jwt.encode(CLAIMS, RSA, "RS512", headers={"kid": "rsa"})
    with pytest.raises(UnauthenticatedError):
        check_token(token, TRUST)


@pytest.mark.parametrize("field", ["issuer", "audience", "subject", "jwks"])
def test_a_trust_without_one_of_its_fields_is_not_valid(field: str) -> None:
    rest = {name: value for name, value in document().items() if name != field}
    with pytest.raises(ValueError, match="not valid"):
        parse_trust(json.dumps(rest).encode())


@pytest.mark.parametrize("field", ["issuer", "audience", "subject"])
def test_an_empty_field_does_not_mean_anybody(field: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        parse_trust(json.dumps(document() | {field: ""}).encode())


def test_a_verifier_without_a_file_refuses() -> None:
    with pytest.raises(UnauthenticatedError, match=r"no usable control-auth\.json"):
        TokenVerifier(None).verify("Bearer x")


def test_the_reason_never_holds_the_token(tmp_path: Path) -> None:
    file = tmp_path / "control-auth.json"
    file.write_text(json.dumps(document()))
    token = jwt.encode(CLAIMS | {"sub": "other"}, KEY, "ES256", headers={"kid": "ec"})
    with pytest.raises(UnauthenticatedError) as caught:
        TokenVerifier(file).verify(f"Bearer {token}")
    assert token not in str(caught.value)
    assert "other" not in str(caught.value)
