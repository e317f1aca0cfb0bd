"""The configuration of a node's containerd and of the pod network it sets up."""

import json

from llm_cluster.layout import REGISTRIES, Layout, Node, Registry

PAUSE_IMAGE = "localhost/llm-operator-cluster/pause:1"
RUNC = "/usr/sbin/runc"
CNI_PLUGINS = "/usr/lib/cni"
_CRI = "io.containerd.cri.v1"
_NOWHERE = """\
# Pulls from any other registry are refused at once: no packet of the cluster leaves the machine.
server = "http://127.0.0.1:9"
"""


def config(layout: Layout, node: Node) -> str:
    """containerd's own TOML file, version 3.

    Everything lies below the node's folders: shim sockets, runc's state and the network
    namespaces too, which otherwise land in folders shared with any other containerd.
    ``restrict_oom_score_adj``: without CAP_SYS_RESOURCE runc could not lower the score.
    """
    return f"""\
version = 3
root = "{node.data}/containerd"
state = "{node.run}/containerd"
[grpc]
  address = "{node.containerd_socket}"
[plugins.'io.containerd.shim.v1.manager']
  socket_dir = "{node.run}/s"
[plugins.'io.containerd.internal.v1.opt']
  path = "{node.data}/opt"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'{_CRI}.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"
[plugins.'{_CRI}.images'.registry]
  config_path = "{layout.config}/certs.d"
[plugins.'{_CRI}.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  cdi_spec_dirs = []
  [plugins.'{_CRI}.runtime'.cni]
    bin_dirs = ["{CNI_PLUGINS}"]
    conf_dir = "{node.data}/cni"
    use_internal_loopback = true
  [plugins.'{_CRI}.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'{_CRI}.runtime'.containerd.runtimes.runc.options]
      BinaryName = "{RUNC}"
      Root = "{node.run}/runc"
"""


def hosts_file(registry: Registry) -> str:
    """A hosts.toml that sends pulls of the registry's name to its Service address over HTTP.

    The nodes do not ask the cluster's DNS, so the name alone would not resolve.
    """
    url = f"http://{registry.address}"
    return f"""\
server = "{url}"
[host."{url}"]
  capabilities = ["pull", "resolve"]
"""


def pod_network(node: Node) -> str:
    """The CNI configuration (JSON) of the node's bridge."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": node.pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": f"{node.run}/ipam",
    }
    bridge = {
        "type": "bridge",
        "bridge": node.bridge,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    name = f"llm-operator-{node.name}"
    document = {"cniVersion": "1.0.0", "name": name, "plugins": [bridge, ports]}
    return json.dumps(document, indent=2) + "\n"


def files(layout: Layout, node: Node) -> dict[str, str]:
    """Path to content of all files a node's containerd reads."""
    return {
        f"{node.data}/containerd.toml": config(layout, node),
        f"{node.data}/cni/10-bridge.conflist": pod_network(node),
    }


def registry_files(layout: Layout) -> dict[str, str]:
    """Path to content of the hosts.toml files that both nodes share."""
    folder = f"{layout.config}/certs.d"
    nowhere = {f"{folder}/_default/hosts.toml": _NOWHERE}
    names = {each.host: each for each in REGISTRIES} | {each.address: each for each in REGISTRIES}
    known = {f"{folder}/{name}/hosts.toml": hosts_file(each) for name, each in names.items()}
    return known | nowhere
