"""What is built and from which versions: one Go module per tool group, since their trees conflict.

A group's folder below ``tests/cluster/go`` pins everything (``go.mod`` with ``tool`` lines and
``go.sum``). Binaries are kept under the digest of those files and of the build flags, so equal
pins are built once per user and a changed pin never meets an old binary.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).resolve().parent.parent / "go"
FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
_PINNED = (".mod", ".sum", ".go")


@dataclass(frozen=True, slots=True)
class Binary:
    """One program: its file name and its main package."""

    name: str
    package: str


@dataclass(frozen=True, slots=True)
class Group:
    """Programs of one Go module.

    ``module`` names the dependency whose version is the group's version; ``version_variables`` are
    the link-time variables that receive it, ``{version}`` with its v.
    ``data`` maps a file name to a path inside that dependency, copied beside the programs.
    """

    name: str
    module: str
    binaries: tuple[Binary, ...]
    version_variables: tuple[tuple[str, str], ...] = ()
    data: tuple[tuple[str, str], ...] = ()


def _kubernetes() -> Group:
    names = (
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubectl",
    )
    component = "k8s.io/component-base/version"
    return Group(
        name="kubernetes",
        module="k8s.io/kubernetes",
        binaries=tuple(Binary(name, f"k8s.io/kubernetes/cmd/{name}") for name in names),
        version_variables=(
            (f"{component}.gitVersion", "{version}"),
            (f"{component}.gitMajor", "{major}"),
            (f"{component}.gitMinor", "{minor}"),
            (f"{component}.gitTreeState", "clean"),
        ),
    )


def _containerd() -> Group:
    module = "github.com/containerd/containerd/v2"
    names = ("containerd", "containerd-shim-runc-v2", "ctr")
    return Group(
        name="containerd",
        module=module,
        binaries=tuple(Binary(name, f"{module}/cmd/{name}") for name in names),
        version_variables=((f"{module}/version.Version", "{version}"),),
    )


def _single(name: str, module: str, package: str, variable: str | None = None) -> Group:
    variables = ((variable, "{version}"),) if variable else ()
    return Group(name, module, (Binary(name, package),), variables)


def _kwok() -> Group:
    """KWOK reads its stages from files: the module's own go beside the program."""
    module, stage = "sigs.k8s.io/kwok", "kustomize/stage"
    paths = (
        "node/fast/node-initialize.yaml",
        "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
        "pod/fast/pod-ready.yaml",
        "pod/fast/pod-complete.yaml",
        "pod/fast/pod-delete.yaml",
    )
    return Group(
        name="kwok",
        module=module,
        binaries=(Binary("kwok", f"{module}/cmd/kwok"),),
        data=tuple((Path(path).name, f"{stage}/{path}") for path in paths),
    )


def _gateway_api() -> Group:
    """No program: the kinds that a Gateway needs, as Kubernetes is taught them."""
    kinds = (
        "backendtlspolicies",
        "gatewayclasses",
        "gateways",
        "grpcroutes",
        "httproutes",
        "referencegrants",
    )
    folder = "config/crd/standard/gateway.networking.k8s.io_"
    return Group(
        name="gateway-api",
        module="sigs.k8s.io/gateway-api",
        binaries=(),
        data=tuple((f"{kind}.yaml", f"{folder}{kind}.yaml") for kind in kinds),
    )


_DISTRIBUTION = "github.com/distribution/distribution/v3"
_LOCAL_PATH = "github.com/rancher/local-path-provisioner"
_GRPCURL = "github.com/fullstorydev/grpcurl"
_HELM = "helm.sh/helm/v4"
_METRICS = "sigs.k8s.io/metrics-server"
_GRPC = "google.golang.org/grpc"
_TRAEFIK = "github.com/traefik/traefik/v3"

GROUPS: tuple[Group, ...] = (
    _kubernetes(),
    _containerd(),
    _single("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
    _single(
        "registry",
        _DISTRIBUTION,
        f"{_DISTRIBUTION}/cmd/registry",
        f"{_DISTRIBUTION}/version.version",
    ),
    _single("coredns", "github.com/coredns/coredns", "github.com/coredns/coredns"),
    _single("helm", _HELM, f"{_HELM}/cmd/helm", f"{_HELM}/internal/version.version"),
    _single("local-path-provisioner", _LOCAL_PATH, _LOCAL_PATH, "main.VERSION"),
    _single("grpcurl", _GRPCURL, f"{_GRPCURL}/cmd/grpcurl", "main.version"),
    _single("pause", "", "."),
    _single(
        "metrics-server",
        _METRICS,
        f"{_METRICS}/cmd/metrics-server",
        "k8s.io/client-go/pkg/version.gitVersion",
    ),
    _kwok(),
    _single("xds-client", _GRPC, "."),  # no part of the cluster: tests/contract/xds runs it
    _gateway_api(),
    _single("traefik", _TRAEFIK, f"{_TRAEFIK}/cmd/traefik", f"{_TRAEFIK}/pkg/version.Version"),
)


def group(name: str) -> Group:
    """The group of that name; KeyError when there is none."""
    return {each.name: each for each in GROUPS}[name]


def version_of(module: str, go_mod: str) -> str:
    """The version that ``go_mod`` (its text) requires of ``module``; "v0.0.0" without a module."""
    if not module:
        return "v0.0.0"
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError(f"go.mod requires no {module}")
    return found.group(1)


def link_flags(spec: Group, version: str) -> str:
    """The -ldflags of a group: stripped, with the version where the program looks for it."""
    major, minor, *_ = version.removeprefix("v").split(".")
    values = {"version": version, "major": major, "minor": minor}
    variables = [f"-X {name}={value.format(**values)}" for name, value in spec.version_variables]
    return " ".join(["-s", "-w", *variables])


def pinned_files(folder: Path) -> dict[str, bytes]:
    """The files of a group that decide what is built, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _PINNED}


def digest(spec: Group, files: dict[str, bytes], platform: str) -> str:
    """The key (20 hex digits) of a group's binaries: pins, flags and platform."""
    version = version_of(spec.module, files["go.mod"].decode())
    recipe = {
        "platform": platform,
        "flags": FLAGS,
        "link": link_flags(spec, version),
        "binaries": [(binary.name, binary.package) for binary in spec.binaries],
        "data": spec.data,
        "files": {name: hashlib.sha256(body).hexdigest() for name, body in sorted(files.items())},
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:20]


def output_name(package: str, group_name: str) -> str:
    """What ``go build`` calls the program of a main package: its last part that is no version.

    A package of the group's own module (".") is called like the group.
    """
    if package == ".":
        return group_name
    parts = [part for part in package.split("/") if not re.fullmatch(r"v[0-9]+", part)]
    return parts[-1]


def needed_go(go_mods: list[str]) -> tuple[int, ...]:
    """The newest Go that any of the go.mod texts asks for, as numbers: (1, 26, 6)."""
    found = [re.search(r"^go (\S+)", text, re.MULTILINE) for text in go_mods]
    return max(as_numbers(match.group(1)) for match in found if match)


def as_numbers(version: str) -> tuple[int, ...]:
    """ "1.26.8" or "go1.26.8" as (1, 26, 8), for comparing."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
