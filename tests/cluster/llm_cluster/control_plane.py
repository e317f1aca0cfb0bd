"""Command lines of etcd, API server, controller manager, scheduler and kube-proxy."""

from llm_cluster.layout import POD_NETWORK, SERVICE_NETWORK, Layout

ETCD_PORT = 23790
ETCD_PEER_PORT = 23810
_ETCD = f"https://127.0.0.1:{ETCD_PORT}"


def etcd(layout: Layout) -> list[str]:
    """etcd for holders of our certificates only; without fsync, for the cluster is disposable."""
    peer = f"http://127.0.0.1:{ETCD_PEER_PORT}"
    return [
        "--name=etcd",
        f"--data-dir={layout.data}/etcd",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--cert-file={layout.pki}/etcd.crt",
        f"--key-file={layout.pki}/etcd.key",
        f"--trusted-ca-file={layout.pki}/ca.crt",
        "--client-cert-auth",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=etcd={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(layout: Layout) -> list[str]:
    """The API server, with the front-proxy certificate that aggregated APIs need."""
    pki, address = layout.pki, layout.nodes[0].address
    return [
        f"--etcd-servers={_ETCD}",
        f"--etcd-cafile={pki}/ca.crt",
        f"--etcd-certfile={pki}/etcd.crt",
        f"--etcd-keyfile={pki}/etcd.key",
        "--secure-port=6443",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        *_aggregation(layout),
    ]


def _aggregation(layout: Layout) -> list[str]:
    return [
        f"--proxy-client-cert-file={layout.pki}/front-proxy.crt",
        f"--proxy-client-key-file={layout.pki}/front-proxy.key",
        f"--requestheader-client-ca-file={layout.pki}/ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
    ]


def controller_manager(layout: Layout) -> list[str]:
    """The controllers; the autoscaler looks every 5 s instead of 15 s, so that tests are short."""
    return [
        f"--kubeconfig={layout.config}/controller-manager.kubeconfig",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.pki}/service-accounts.key",
        f"--root-ca-file={layout.pki}/ca.crt",
        f"--cluster-signing-cert-file={layout.pki}/ca.crt",
        f"--cluster-signing-key-file={layout.pki}/ca.key",
        f"--cluster-cidr={POD_NETWORK}",
        "--allocate-node-cidrs=false",
        "--horizontal-pod-autoscaler-sync-period=5s",
    ]


def scheduler(layout: Layout) -> list[str]:
    """The scheduler."""
    return [
        f"--kubeconfig={layout.config}/scheduler.kubeconfig",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def proxy(layout: Layout) -> list[str]:
    """One kube-proxy serves both nodes, which share the machine's network namespace.

    The conntrack settings stay as the machine has them; node ports open on node1's bridge address
    only, never to the outside.
    """
    return [
        f"--kubeconfig={layout.config}/proxy.kubeconfig",
        f"--hostname-override={layout.nodes[0].name}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={POD_NETWORK}",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--nodeport-addresses=primary",
        "--iptables-localhost-nodeports=false",
    ]
