"""Checkpoints from a web server on loopback: archives and indexes, intact and otherwise."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.download_source import Access, Download, download_source
from llm_runtime.model.progress import SharedProgress
from llm_runtime.model.source import HttpSource, Pinned
from support.checkpoints import tiny_llama
from support.free_port import free_port

TOKEN = "granted"


class Pages:
    """What the server answers: bodies by path, and statuses of paths that are errors."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.bodies: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.cut: dict[str, int] = {}
        self.seen: list[tuple[str, str | None]] = []

    def add(self, path: str, body: bytes) -> HttpSource:
        self.bodies[path] = body
        return HttpSource(self.endpoint + path, hashlib.sha256(body).hexdigest())


def handler_of(pages: Pages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.seen.append((self.path, self.headers.get("Authorization")))
            body = pages.bodies.get(self.path, b"")
            self.send_response(pages.statuses.get(self.path, 200))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: pages.cut.get(self.path, len(body))])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return Handler


@pytest.fixture
def pages() -> Iterator[Pages]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    made = Pages(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = handler_of(made)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("web") / "model")


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname="model")
    return buffer.getvalue()


def index(folder: Path, pages: Pages) -> HttpSource:
    files = []
    for path in folder.iterdir():
        content = path.read_bytes()
        pages.bodies[f"/files/{path.name}"] = content
        digest = hashlib.sha256(content).hexdigest()
        files.append({"path": path.name, "size": len(content), "sha256": digest})
    return pages.add("/files/index.json", json.dumps({"files": files}).encode())


def download(source: HttpSource, folder: Path, token: str | None = None) -> Pinned:
    request = Download(source, folder, lambda _: None, lambda _: False)
    return download_source(request, Access(token=token), SharedProgress())


def refusal(source: HttpSource, folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        download(source, folder)
    return caught.value


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz"])
def test_an_archive_becomes_a_checkpoint(
    pages: Pages, checkpoint: Path, tmp_path: Path, suffix: str
) -> None:
    body = packed(checkpoint)
    source = pages.add(f"/m.{suffix}", body if suffix == "tar" else gzip.compress(body))
    pinned = download(source, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(checkpoint)
    assert pinned.identity == f"http:{source.sha256}"


def test_what_is_recorded_of_a_signed_url_gives_no_access(
    pages: Pages, checkpoint: Path, tmp_path: Path
) -> None:
    source = pages.add("/m.tar?sig=hunter2&expires=9", packed(checkpoint))
    pinned = download(source, tmp_path / "copy")
    assert pinned.uri == f"{pages.endpoint}/m.tar"
    assert pinned.revision == f"sha256:{source.sha256}"


def test_an_index_becomes_a_checkpoint(pages: Pages, checkpoint: Path, tmp_path: Path) -> None:
    download(index(checkpoint, pages), tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(checkpoint)


@pytest.mark.parametrize("path", ["model.onnx", "onnx/model.onnx", "model/onnx/model.onnx"])
def test_an_archive_of_onnx_files_is_told_what_it_is(
    pages: Pages, tmp_path: Path, path: str
) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_bytes(b"x")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(tmp_path / path, arcname=path)
    error = refusal(pages.add("/m.tar", buffer.getvalue()), tmp_path / "copy")
    assert error.reason is Reason.PRE_EXPORTED_UNSUPPORTED


def test_an_index_of_onnx_files_is_told_what_it_is(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.onnx").write_bytes(b"x")
    error = refusal(index(tmp_path / "files", pages), tmp_path / "copy")
    assert error.reason is Reason.PRE_EXPORTED_UNSUPPORTED


def test_another_digest_is_refused(pages: Pages, checkpoint: Path, tmp_path: Path) -> None:
    source = pages.add("/m.tar", packed(checkpoint))
    error = refusal(HttpSource(source.url, "0" * 64), tmp_path / "copy")
    assert (error.reason, error.retryable) == (Reason.CHECKSUM_MISMATCH, False)


def test_an_altered_file_of_an_index_is_refused(
    pages: Pages, checkpoint: Path, tmp_path: Path
) -> None:
    source = index(checkpoint, pages)
    body = bytearray(pages.bodies["/files/model.safetensors"])
    body[-1] ^= 1
    pages.bodies["/files/model.safetensors"] = bytes(body)
    assert refusal(source, tmp_path / "copy").reason is Reason.CHECKSUM_MISMATCH


def test_a_file_longer_than_its_index_says_is_refused(
    pages: Pages, checkpoint: Path, tmp_path: Path
) -> None:
    source = index(checkpoint, pages)
    pages.bodies["/files/tokenizer.json"] += b" " * (4 << 20)
    assert refusal(source, tmp_path / "copy").reason is Reason.CHECKSUM_MISMATCH


def test_an_index_with_a_path_is_refused(pages: Pages, tmp_path: Path) -> None:
    entry = {"path": "../config.json", "size": 1, "sha256": "0" * 64}
    source = pages.add("/index.json", json.dumps({"files": [entry]}).encode())
    error = refusal(source, tmp_path / "copy")
    assert (error.reason, error.retryable) == (Reason.DOWNLOAD_FAILED, False)


@pytest.mark.parametrize("body", [b"", b"no archive", b"\x1f\x8b\x08broken", bytes(2000)])
def test_what_is_no_archive_is_refused(pages: Pages, tmp_path: Path, body: bytes) -> None:
    error = refusal(pages.add("/m.tar", body), tmp_path / "copy")
    assert error.reason in (Reason.DOWNLOAD_FAILED, Reason.FILE_NOT_FOUND)
    assert not error.retryable


def test_a_download_that_breaks_off_is_worth_another_try(
    pages: Pages, checkpoint: Path, tmp_path: Path
) -> None:
    source = pages.add("/m.tar", packed(checkpoint))
    pages.cut["/m.tar"] = 5000
    error = refusal(source, tmp_path / "copy")
    assert (error.reason, error.retryable) == (Reason.DOWNLOAD_FAILED, True)


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (401, Reason.AUTH_FAILED, False),
        (403, Reason.AUTH_FAILED, False),
        (404, Reason.FILE_NOT_FOUND, False),
        (429, Reason.SOURCE_UNREACHABLE, True),
        (500, Reason.SOURCE_UNREACHABLE, True),
        (503, Reason.SOURCE_UNREACHABLE, True),
    ],
)
def test_a_servers_refusal_has_its_own_reason(
    pages: Pages, tmp_path: Path, status: int, reason: Reason, retryable: bool
) -> None:
    source = pages.add("/m.tar", b"x")
    pages.statuses["/m.tar"] = status
    error = refusal(source, tmp_path / "copy")
    assert (error.reason, error.retryable) == (reason, retryable)


def test_a_server_that_is_away_is_unreachable(tmp_path: Path) -> None:
    source = HttpSource(f"http://127.0.0.1:{free_port()}/m.tar", "0" * 64)
    error = refusal(source, tmp_path / "copy")
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNREACHABLE, True)


def test_a_token_is_sent_when_there_is_one(pages: Pages, checkpoint: Path, tmp_path: Path) -> None:
    source = pages.add("/m.tar", packed(checkpoint))
    download(source, tmp_path / "one", token=TOKEN)
    download(source, tmp_path / "two")
    assert pages.seen == [("/m.tar", f"Bearer {TOKEN}"), ("/m.tar", None)]
