"""Kubeconfig files: for the parts by path, for the user with everything inside."""

import base64

import yaml

from llm_cluster.layout import Layout


def for_part(layout: Layout, identity: str) -> str:
    """The kubeconfig (YAML) of a part of the cluster; refers to the files in the pki folder."""
    cluster = {"certificate-authority": str(layout.pki / "ca.crt")}
    user = {
        "client-certificate": str(layout.pki / f"{identity}.crt"),
        "client-key": str(layout.pki / f"{identity}.key"),
    }
    return _render(layout, identity, cluster, user)


def for_user(layout: Layout) -> str:
    """The administrator's kubeconfig (YAML), complete in itself. Reads the certificates."""
    cluster = {"certificate-authority-data": _encoded(layout, "ca.crt")}
    user = {
        "client-certificate-data": _encoded(layout, "admin.crt"),
        "client-key-data": _encoded(layout, "admin.key"),
    }
    return _render(layout, "admin", cluster, user)


def _encoded(layout: Layout, file: str) -> str:
    return base64.b64encode((layout.pki / file).read_bytes()).decode()


def _render(layout: Layout, name: str, cluster: dict[str, str], user: dict[str, str]) -> str:
    context = "llm-operator-cluster"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": {"server": layout.api_url, **cluster}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": name}}],
        "current-context": context,
    }
    return yaml.safe_dump(document, sort_keys=False)
