"""Kernel settings that the cluster needs or its parts change, and putting them back."""

from pathlib import Path

_ROOT = Path("/proc/sys")
_NEEDED = {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"}
_CHANGED_BY_PARTS = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
    "net.ipv4.conf.all.route_localnet",
    "net.netfilter.nf_conntrack_max",
)


def _file(name: str) -> Path:
    return _ROOT / name.replace(".", "/")


def current() -> dict[str, str]:
    """The present values of all settings that may change; absent ones are left out."""
    names = (*_NEEDED, *_CHANGED_BY_PARTS)
    return {name: _file(name).read_text().strip() for name in names if _file(name).exists()}


def set_needed() -> None:
    """Forwarding between bridges, and iptables for packets inside one (Services need both)."""
    restore({name: value for name, value in _NEEDED.items() if _file(name).exists()})


def restore(values: dict[str, str]) -> None:
    """Writes those values that differ."""
    for name, value in values.items():
        if _file(name).read_text().strip() != value:
            _file(name).write_text(value)
