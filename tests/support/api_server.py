"""A real API server for tests: etcd and kube-apiserver, private to a test run, on loopback.

The programs are those of the local cluster, built on first use. Everything else is in one folder
below pytest's, so a run leaves nothing behind and shares nothing with a running cluster.
"""

import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from llm_cluster.build import Programs
from support.free_port import free_port
from support.programs import built

START_SECONDS = 60.0
ADMIN_TOKEN = "admin-of-a-test"  # on loopback, for the time of a test run
OPERATOR_TOKEN = "operator-of-a-test"
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "namespace-controller",
)


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running API server. `kubeconfig` is an administrator's."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """One JSON line per request of the user `operator`."""
        return self.folder / "audit.log"

    @property
    def operator_kubeconfig(self) -> Path:
        """Of a user without any rights but those that a test grants to `operator`."""
        return self.folder / "operator.kubeconfig"


def _nothing(_server: ApiServer) -> None:
    """What most do before the controllers start."""


@contextmanager
def running_api_server(
    folder: Path, install: Callable[[ApiServer], None] = _nothing
) -> Iterator[ApiServer]:
    """etcd, API server and the controllers of our children; ended with the block. No nodes.

    `install` runs before the controllers: the garbage collector looks for new kinds every 30
    seconds only, and a CRD that is there at its start is none.
    """
    wanted = built("etcd", "kubernetes")
    server = ApiServer(folder, free_port())
    _write_secrets(server)
    with ExitStack() as processes:
        start = processes.enter_context
        etcd_port = free_port()
        start(_process(folder, _etcd(wanted, folder, etcd_port)))
        api = start(_process(folder, _api_server(wanted, server, etcd_port)))
        _wait_until_ready(server, api)
        install(server)
        start(_process(folder, _controller_manager(wanted, server)))
        yield server


def _etcd(wanted: Programs, folder: Path, port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    return [
        str(wanted.path("etcd")),
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server(wanted: Programs, server: ApiServer, etcd_port: int) -> list[str]:
    folder = server.folder
    return [
        str(wanted.path("kubernetes", "kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={server.port}",
        f"--cert-dir={folder}/serving",
        "--service-cluster-ip-range=10.97.0.0/24",
        "--authorization-mode=RBAC",
        f"--token-auth-file={folder}/tokens.csv",
        f"--audit-policy-file={folder}/audit-policy.yaml",
        f"--audit-log-path={server.audit_log}",
        "--service-account-issuer=https://issuer.test.local",
        f"--service-account-key-file={folder}/service-accounts.pub",
        f"--service-account-signing-key-file={folder}/service-accounts.key",
        "--disable-admission-plugins=ServiceAccount",
        "--shutdown-watch-termination-grace-period=0s",
    ]


def _controller_manager(wanted: Programs, server: ApiServer) -> list[str]:
    return [
        str(wanted.path("kubernetes", "kube-controller-manager")),
        f"--kubeconfig={server.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={server.folder}/controllers",
        f"--controllers={','.join(CONTROLLERS)}",
    ]


@contextmanager
def _process(folder: Path, argv: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / f"{Path(argv[0]).name}.log").open("ab") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, cwd=folder, start_new_session=True, env=_environment()
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)  # it waits a minute for its watches otherwise
        process.wait()


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


def _write_secrets(server: ApiServer) -> None:
    folder = server.folder
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "service-accounts.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (folder / "service-accounts.pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    users = (
        f'{ADMIN_TOKEN},admin,1,"system:masters"',
        f'{OPERATOR_TOKEN},operator,2,"system:serviceaccounts"',
    )
    (folder / "tokens.csv").write_text("\n".join(users) + "\n")
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "users": ["operator"]}, {"level": "None"}],
    }
    (folder / "audit-policy.yaml").write_text(yaml.safe_dump(policy))
    _write_kubeconfig(server, server.kubeconfig, ADMIN_TOKEN)
    _write_kubeconfig(server, server.operator_kubeconfig, OPERATOR_TOKEN)


def _write_kubeconfig(server: ApiServer, path: Path, token: str) -> None:
    cluster = {
        "server": server.url,
        "certificate-authority": f"{server.folder}/serving/apiserver.crt",
    }
    context = {"name": "test", "context": {"cluster": "test", "user": "test"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [context],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
    }
    path.write_text(yaml.safe_dump(config))


def _wait_until_ready(server: ApiServer, process: "subprocess.Popen[bytes]") -> None:
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(  # noqa: S310  # our own https address
        f"{server.url}/readyz", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(request, context=unverified, timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    log = (server.folder / "kube-apiserver.log").read_text()[-2000:]
    raise RuntimeError(f"The API server did not become ready:\n{log}")
