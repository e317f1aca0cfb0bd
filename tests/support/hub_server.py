"""A small Hugging Face hub on one folder: what ``huggingface_hub`` asks when it downloads a model.

    python -m support.hub_server DIR --port 8080

serves DIR/<organisation>/<repository>/<file…> as models. Each repository has the one branch
``main``; its commit follows from its contents. As on the real hub, large files are answered with
a redirect and announce their sha256, small ones their git id; unknown repositories are 401 for
anonymous callers; a file ``.gated`` in a repository makes it refuse all but its granted token.
Standard library only, so a container can run this one file.
"""

import argparse
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

_CHUNK = 1 << 20
_LARGE = (".safetensors", ".onnx", ".bin")
_MODEL = re.compile(
    r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/(?P<what>revision|tree)/(?P<rev>[^/]+))?"
)
_RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)")
_LARGE_STORE = re.compile(r"/large-files/(?P<repo>[^/]+/[^/]+)/(?P<path>.+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its git id, and its sha256 when it is large."""

    path: str
    size: int
    git_id: str
    sha256: str | None

    @property
    def etag(self) -> str:
        """What the hub identifies its content by."""
        return self.sha256 or self.git_id


@dataclass(frozen=True)
class Hub:
    """A folder of repositories; ``token`` is asked of every caller when given. One that does not
    ``list_digests`` is like a plain mirror."""

    root: Path
    token: str | None = None
    list_digests: bool = True

    def repository(self, name: str) -> Path | None:
        """The folder of ``organisation/repository``."""
        if any(part.startswith(".") for part in name.split("/")):
            return None
        folder = self.root / name
        return folder if folder.is_dir() else None

    def files(self, repository: Path) -> list[HubFile]:
        """All files but hidden ones, in order."""
        paths = sorted(path for path in repository.rglob("*") if path.is_file())
        names = [(path, path.relative_to(repository).as_posix()) for path in paths]
        return [
            _describe(name, path, path.stat().st_mtime_ns)
            for path, name in names
            if not any(part.startswith(".") for part in name.split("/"))
        ]


@lru_cache(maxsize=1024)
def _describe(name: str, path: Path, _changed: int) -> HubFile:
    size = path.stat().st_size
    git, large = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            git.update(chunk)
            large.update(chunk)
    sha256 = large.hexdigest() if name.endswith(_LARGE) else None
    return HubFile(name, size, git.hexdigest(), sha256)


def commit_of(files: list[HubFile]) -> str:
    """A commit id that changes with every file."""
    text = "\n".join(f"{file.path} {file.git_id}" for file in files)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RefusedError(Exception):
    """An answer that is an error, in the hub's own terms."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class HubHandler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        """Answers with a body."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answers with headers only."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """One line per request, on stderr as usual, without the caller's token."""
        super().log_message(format, *args)

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        try:
            if match := _LARGE_STORE.fullmatch(path):
                folder, files = self._repository(match["repo"])
                # The real hub redirects to another host; on the same one the library asks on.
                commit = {"X-Repo-Commit": commit_of(files)}
                self._send_file(folder, self._file(files, match["path"]), commit)
                return
            self._authorize()
            if match := _MODEL.fullmatch(path):
                self._model(match["repo"], match["what"], match["rev"] or "main")
            elif match := _RESOLVE.fullmatch(path):
                self._resolve(match["repo"], match["rev"], match["path"])
            else:
                raise RefusedError(HTTPStatus.NOT_FOUND, "NotFound", "No such page")
        except RefusedError as refusal:
            self._refuse(refusal)

    def _authorize(self) -> None:
        given = self.headers.get("Authorization")
        if self.hub.token is not None and given != f"Bearer {self.hub.token}":
            raise RefusedError(
                HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header"
            )

    def _repository(self, name: str) -> tuple[Path, list[HubFile]]:
        folder = self.hub.repository(name)
        if folder is None:
            known = self.headers.get("Authorization") is not None
            status = HTTPStatus.NOT_FOUND if known else HTTPStatus.UNAUTHORIZED
            raise RefusedError(status, "RepoNotFound", "Repository not found")
        gate = folder / ".gated"
        if gate.is_file():
            granted = f"Bearer {gate.read_text().strip()}"
            if self.headers.get("Authorization") != granted:
                raise RefusedError(
                    HTTPStatus.FORBIDDEN, "GatedRepo", f"Access to {name} is restricted"
                )
        return folder, self.hub.files(folder)

    def _at(self, name: str, revision: str) -> tuple[Path, list[HubFile], str]:
        folder, files = self._repository(name)
        commit = commit_of(files)
        if revision not in ("main", commit):
            text = f"Invalid rev id: {revision}"
            raise RefusedError(HTTPStatus.NOT_FOUND, "RevisionNotFound", text)
        return folder, files, commit

    def _model(self, name: str, what: str | None, revision: str) -> None:
        _, files, commit = self._at(name, revision)
        if what == "tree":
            self._send_json([_tree_entry(file) for file in files], commit)
            return
        siblings = [_sibling(file) for file in files]
        if not self.hub.list_digests:
            siblings = [{"rfilename": file.path, "size": file.size} for file in files]
        facts = {"_id": commit, "id": name, "modelId": name, "sha": commit, "private": False}
        self._send_json(facts | {"tags": [], "downloads": 0, "siblings": siblings}, commit)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        folder, files, commit = self._at(name, revision)
        file = self._file(files, path)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if file.sha256 is None:
            self._send_file(folder, file, headers)
            return
        host = self.headers.get("Host", "")
        headers |= {
            "Location": f"http://{host}/large-files/{name}/{file.path}",
            "X-Linked-Size": str(file.size),
            "X-Linked-ETag": f'"{file.etag}"',
            "ETag": f'"{file.git_id}"',
        }
        self._send(HTTPStatus.FOUND, headers, b"")

    def _file(self, files: list[HubFile], path: str) -> HubFile:
        for file in files:
            if file.path == path:
                return file
        raise RefusedError(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")

    def _send_file(
        self, folder: Path, file: HubFile, headers: dict[str, str] | None = None
    ) -> None:
        start, end, status = self._wanted_range(file.size)
        headers = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"} | (headers or {})
        if status is HTTPStatus.PARTIAL_CONTENT:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        self._send_head(status, headers, end - start)
        if self.command != "HEAD":
            with (folder / file.path).open("rb") as opened:
                opened.seek(start)
                self._copy(opened, end - start)

    def _wanted_range(self, size: int) -> tuple[int, int, HTTPStatus]:
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None:
            return 0, size, HTTPStatus.OK
        start = int(match[1])
        end = min(size, int(match[2]) + 1) if match[2] else size
        if start >= end:
            text = f"bytes {start}- of {size}"
            raise RefusedError(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "", text)
        return start, end, HTTPStatus.PARTIAL_CONTENT

    def _copy(self, file: BinaryIO, count: int) -> None:
        while count:
            chunk = file.read(min(_CHUNK, count))
            if not chunk:
                self.close_connection = True
                return
            self.wfile.write(chunk)
            count -= len(chunk)

    def _send_json(self, document: object, commit: str) -> None:
        headers = {"Content-Type": "application/json", "X-Repo-Commit": commit}
        self._send(HTTPStatus.OK, headers, json.dumps(document).encode())

    def _refuse(self, refusal: RefusedError) -> None:
        headers = {"Content-Type": "application/json", "X-Error-Message": refusal.message}
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        self._send(refusal.status, headers, json.dumps({"error": refusal.message}).encode())

    def _send(self, status: HTTPStatus, headers: dict[str, str], body: bytes) -> None:
        self._send_head(status, headers, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_head(self, status: HTTPStatus, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()


def _tree_entry(file: HubFile) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": "file",
        "path": file.path,
        "size": file.size,
        "oid": file.git_id,
    }
    if file.sha256 is not None:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 134}
    return entry


def _sibling(file: HubFile) -> dict[str, object]:
    sibling: dict[str, object] = {
        "rfilename": file.path,
        "size": file.size,
        "blobId": file.git_id,
    }
    if file.sha256 is not None:
        sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": 134}
    return sibling


def make_server(hub: Hub, host: str, port: int) -> ThreadingHTTPServer:
    """A server that is bound but not serving yet; port 0 takes a free one."""
    handler = type("BoundHubHandler", (HubHandler,), {"hub": hub})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    return server


@contextmanager
def running_hub(
    root: Path, *, token: str | None = None, list_digests: bool = True
) -> Iterator[str]:
    """The hub's endpoint, ``http://127.0.0.1:<port>``, while the block runs."""
    server = make_server(Hub(root, token, list_digests), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description="A small Hugging Face hub on one folder")
    parser.add_argument("root", type=Path, help="holds <organisation>/<repository>/<files>")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--token", help="asked of every caller")
    options = parser.parse_args()
    server = make_server(Hub(options.root, options.token), options.host, options.port)
    sys.stderr.write(f"Serving {options.root} on port {server.server_address[1]}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
