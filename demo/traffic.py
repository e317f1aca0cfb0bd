"""How an application's gRPC library finds the control plane."""

import json

from demo.story import SYSTEM_NAMESPACE

CONTROL_PLANE = f"llm-operator-xds.{SYSTEM_NAMESPACE}.svc:18000"


def bootstrap() -> str:
    """The text of GRPC_XDS_BOOTSTRAP_CONFIG, the same in every namespace."""
    server = {
        "server_uri": CONTROL_PLANE,
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3"],
    }
    return json.dumps({"xds_servers": [server], "node": {"id": "demo"}})
