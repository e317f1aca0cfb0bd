"""Connections to an API server that speaks TLS, and their end."""

import asyncio
import gc
import json
import ssl
from asyncio.selector_events import _SelectorTransport  # type: ignore[attr-defined]
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llm_operator.kube import request as requests
from llm_operator.kube.client import KubeClient
from llm_operator.kube.connect import connect
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import BY_KIND

ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n"


def certificate(path: Path) -> Path:
    """A self-signed certificate and its key in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, form, plain))
    return path


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """A server that begins to answer, and then neither reads nor closes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "server.pem"))
    writers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.transport.pause_reading()  # type: ignore[attr-defined]

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()
    server.close()
    for writer in writers:
        writer.transport.abort()
    await server.wait_closed()


def open_connections(address: tuple[str, int]) -> int:
    """Connections of this process to the address whose socket is still there."""
    # by type(): isinstance would ask every object of the process for its __class__, torch's too
    transports = [each for each in gc.get_objects() if issubclass(type(each), _SelectorTransport)]
    return sum(
        each.get_extra_info("peername") == address and each.get_extra_info("socket").fileno() != -1
        for each in transports
    )


async def test_a_closed_client_leaves_no_connection_of_a_watch_that_was_ended(
    address: tuple[str, int], tmp_path: Path
) -> None:
    cluster = {"server": f"https://127.0.0.1:{address[1]}", "insecure-skip-tls-verify": True}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    client = KubeClient(await connect(str(kubeconfig)))
    watch = requests.watch(Selection(BY_KIND["Service"], "n"), since="1", seconds=60)
    try:
        async with client.stream(watch) as pieces:
            assert await anext(aiter(pieces)) == b"{}\n"
        assert open_connections(address) == 1
    finally:
        await client.aclose()
    await asyncio.sleep(0)
    assert open_connections(address) == 0
