"""One repository of an OCI registry: manifests and blobs, over PyPI oras.

oras speaks the protocol and authenticates. What it lacks is added here: time limits, errors that
say what to do, uploads and downloads that hold one chunk, and retries that end (oras 0.2.43 waits
two minutes on a refused connection and retries refused credentials).
"""

import functools
import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

import oras.container
import oras.provider
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.image import MANIFEST_TYPE, digest_of
from llm_runtime.model.reference import Reference

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_CONNECT_SECONDS = 5
_READ_SECONDS = 60
_MAXIMUM_MANIFEST = 4 << 20
_CONNECTIONS = 8
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How to reach a registry: plain HTTP or not, and a docker config.json with its credentials.

    ``pauses`` are the seconds between tries of one that does not answer: an export of an hour must
    not be lost to a registry that restarts.
    """

    plain_http: bool = False
    auth_file: Path | None = None
    pauses: tuple[float, ...] = (0.5, 2.0, 5.0)


class Repository:
    """A repository that blobs and manifests are read from and written to."""

    def __init__(self, reference: Reference, options: RegistryOptions) -> None:
        self._reference = reference
        self._options = options
        self._base = f"{'http' if options.plain_http else 'https'}://{reference.host}"
        self._root = f"{self._base}/v2/{reference.repository}"
        self._registry = self._patiently(self._connect)

    def digest_of_tag(self, tag: str) -> str | None:
        """The digest that a tag points to, None when there is no such tag."""
        response = self._send("HEAD", f"/manifests/{tag}", headers={"Accept": MANIFEST_TYPE})
        if response.status_code == 404:
            return None
        self._check(response, 200)
        digest = response.headers.get("Docker-Content-Digest")
        return digest or digest_of(self.manifest(tag))

    def manifest(self, name: str) -> bytes:
        """The manifest of a tag or digest; that of a digest is checked against it."""
        path = f"/manifests/{name}"
        with self._stream("GET", path, headers={"Accept": MANIFEST_TYPE}) as response:
            self._check(response, 200)
            content: bytes = response.raw.read(_MAXIMUM_MANIFEST, decode_content=True)
        if name.startswith("sha256:") and digest_of(content) != name:
            raise ModelError(
                Reason.CHECKSUM_MISMATCH,
                f"the registry {self._reference.host} answered {name} with other content; check"
                " the registry's storage, or export the model again",
            )
        return content

    def has_blob(self, digest: str) -> bool:
        """Whether the repository holds a blob."""
        response = self._send("HEAD", f"/blobs/{digest}")
        if response.status_code == 404:
            return False
        self._check(response, 200)
        return True

    def upload(self, digest: str, content: Callable[[], io.RawIOBase | bytes]) -> None:
        """Stores a blob; ``content`` opens its bytes, of a length that ``len`` tells."""
        self._patiently(lambda: self._upload_once(digest, content))

    def _upload_once(self, digest: str, content: Callable[[], io.RawIOBase | bytes]) -> None:
        started = self._send_once("POST", "/blobs/uploads/")
        self._check(started, 202)
        location = urljoin(self._base, started.headers.get("Location", ""))
        separator = "&" if "?" in location else "?"
        finished = self._send_once(
            "PUT",
            f"{location}{separator}digest={digest}",
            headers={"Content-Type": "application/octet-stream"},
            data=content(),
        )
        self._check(finished, 201)

    def put_manifest(self, tag: str, content: bytes) -> None:
        """Points a tag to a manifest; from here on the image is visible."""
        response = self._send(
            "PUT", f"/manifests/{tag}", headers={"Content-Type": MANIFEST_TYPE}, data=content
        )
        self._check(response, 201)

    @contextmanager
    def blob(self, digest: str, start: int = 0) -> Iterator[Any]:
        """A blob's bytes from ``start`` on, as a file-like object.

        Registries and caches need not know ranges: the bytes before ``start`` are then dropped.
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        headers["Accept-Encoding"] = "identity"
        with self._stream("GET", f"/blobs/{digest}", headers=headers) as response:
            is_whole = response.status_code == 200
            self._check(response, 200 if is_whole or not start else 206)
            if is_whole:
                _drop(response.raw, start)
            yield response.raw

    def _connect(self) -> Any:
        session = requests.Session()
        with self._errors(), session:
            answer = session.get(f"{self._base}/v2/", timeout=(_CONNECT_SECONDS, _READ_SECONDS))
        challenge = answer.headers.get("Www-Authenticate", "")
        registry = oras.provider.Registry(
            hostname=self._reference.host,
            insecure=self._options.plain_http,
            auth_backend="basic" if challenge.lower().startswith("basic") else "token",
        )
        adapter = HTTPAdapter(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS)
        registry.session.mount("http://", adapter)
        registry.session.mount("https://", adapter)
        registry.session.request = functools.partial(
            registry.session.request, timeout=(_CONNECT_SECONDS, _READ_SECONDS)
        )
        self._load_credentials(registry, challenge)
        return registry

    def _load_credentials(self, registry: Any, challenge: str) -> None:
        file = self._options.auth_file
        if file is not None and not file.is_file():
            raise ModelError(
                Reason.AUTH_FAILED,
                f"the registry credentials {file} do not exist; mount a docker config.json there",
            )
        container = oras.container.Container(f"{self._reference.name}:any")
        registry.auth.load_configs(container, configs=[str(file)] if file else None)
        if challenge.lower().startswith("basic"):
            if not hasattr(registry.auth, "_basic_auth"):
                raise self._forbidden()
            # Sent at once: oras would send an upload's body first and have none for the second try.
            registry.session.headers.update(registry.auth.get_auth_header())

    @contextmanager
    def _stream(self, method: str, path: str, *, headers: dict[str, str]) -> Iterator[Any]:
        response = self._send(method, path, headers=headers, stream=True)
        with self._errors(), response:
            yield response

    def _send(self, method: str, path: str, **arguments: Any) -> Any:
        """For requests that may be sent twice."""
        return self._patiently(lambda: self._send_once(method, path, **arguments))

    def _patiently(self, attempt: Callable[[], Result]) -> Result:
        for pause in self._options.pauses:
            try:
                return attempt()
            except ModelError as error:
                if error.reason is not Reason.REGISTRY_UNAVAILABLE:
                    raise
                log.info("Trying again in %s s: %s", pause, error.message)
            time.sleep(pause)
        return attempt()

    def _send_once(self, method: str, path: str, **arguments: Any) -> Any:
        url = path if path.startswith("http") else self._root + path
        # Around oras' own retries (see above); authentication is inside.
        send = functools.partial(
            oras.provider.Registry.do_request.__wrapped__, self._registry, url, method
        )
        with self._errors():
            try:
                response = send(**arguments)
                if response.status_code == 401 and getattr(self._registry.auth, "token", None):
                    # oras keeps a token for ever; registries let it expire.
                    self._registry.auth.token = None
                    response = send(**arguments)
            except requests.RequestException:
                raise
            except ValueError as error:  # oras could not answer a challenge
                raise self._forbidden() from error
        if response.status_code == 429 or response.status_code >= 500:
            raise self._odd_answer(response)
        return response

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise self._unavailable(
                "its certificate is not trusted; give its authority's certificate in"
                " REQUESTS_CA_BUNDLE"
            ) from error
        except (requests.RequestException, HTTPError, ConnectionError, TimeoutError) as error:
            raise self._unavailable(
                f"it does not answer ({type(error).__name__}); check its address, the network"
                " policy, and whether it speaks HTTPS or plain HTTP"
            ) from error

    def _check(self, response: Any, wanted: int) -> None:
        status = response.status_code
        if status == wanted:
            return
        if status in (401, 403):
            raise self._forbidden()
        if status == 404:
            raise ModelError(
                Reason.FILE_NOT_FOUND,
                f"{self._reference} is not in the registry; check the name, or delete the"
                " LLMDeployment and apply it again, so that the model is exported once more",
            )
        raise self._odd_answer(response)

    def _odd_answer(self, response: Any) -> ModelError:
        return self._unavailable(
            f"it answered {response.status_code} to {response.request.method}; look at the"
            " registry's log"
        )

    def _forbidden(self) -> ModelError:
        return ModelError(
            Reason.AUTH_FAILED,
            f"the registry {self._reference.host} refuses access to {self._reference.repository};"
            " give credentials that may read and write it (a docker config.json)",
        )

    def _unavailable(self, what: str) -> ModelError:
        return ModelError(
            Reason.REGISTRY_UNAVAILABLE,
            f"the registry {self._reference.host} cannot be used: {what}",
        )


def _drop(stream: Any, size: int) -> None:
    """Reads so many bytes and forgets them."""
    while size and (chunk := stream.read(min(_CHUNK_BYTES, size))):
        size -= len(chunk)
