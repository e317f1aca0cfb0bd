"""The CNCF Distribution registry on loopback: the program that the local cluster runs, too."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from support.free_port import free_port
from support.waiting import until

# bcrypt of "secret"; the registry accepts no other kind of hash.
_HTPASSWD = "exporter:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
USER, PASSWORD = "exporter", "secret"


@dataclass(frozen=True)
class OciRegistry:
    """A running registry: ``host:port`` and the folder of its blobs."""

    host: str
    storage: Path

    def blob_file(self, digest: str) -> Path:
        """Where it keeps a blob's bytes."""
        digits = digest.removeprefix("sha256:")
        return self.storage / f"docker/registry/v2/blobs/sha256/{digits[:2]}/{digits}/data"


@contextmanager
def running_registry(
    program: Path, folder: Path, *, with_password: bool = False
) -> Iterator[OciRegistry]:
    """Starts the registry with its storage below ``folder`` and ends it afterwards."""
    host = f"127.0.0.1:{free_port()}"
    storage = folder / "storage"
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {"addr": host},
    }
    if with_password:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "models", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", folder / "config.yml"], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: _answers(host), seconds=20, what="the registry to answer", every=0.05)
            yield OciRegistry(host, storage)
        finally:
            process.terminate()
            process.wait(10)


def _answers(host: str) -> bool:
    try:
        return requests.get(f"http://{host}/v2/", timeout=2).status_code in (200, 401)
    except requests.ConnectionError:
        return False
