"""The configuration of a node's kubelet."""

import yaml

from llm_cluster.layout import DNS_ADDRESS, Layout, Node


def config(layout: Layout, node: Node) -> str:
    """KubeletConfiguration (YAML).

    Image garbage collection is off (threshold 100 %): images imported by hand have no registry to
    come back from. Who may use an image is never verified: the kubelet would refuse an imported
    image once a pod has pulled the same content from a registry under another name. Eviction only
    keeps the machine alive. ``resolvConf`` is empty so that pods never ask the machine's name
    server.
    """
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzPort": node.healthz_port,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / f"{node.name}.crt"),
        "tlsPrivateKeyFile": str(layout.pki / f"{node.name}.key"),
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup,
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "evictionHard": {
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "memory.available": "100Mi",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
        "nodeStatusUpdateFrequency": "4s",
        "serializeImagePulls": False,
        "volumePluginDir": str(node.data / "volume-plugins"),
        "podLogsDir": str(node.data / "pod-logs"),
    }
    return yaml.safe_dump(document, sort_keys=False)


def arguments(layout: Layout, node: Node) -> list[str]:
    """The kubelet's command line after its name."""
    return [
        f"--config={node.data}/kubelet.yaml",
        f"--kubeconfig={layout.config}/{node.name}.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--root-dir={node.kubelet_root}",
        f"--cert-dir={node.kubelet_root}/pki",
    ]
