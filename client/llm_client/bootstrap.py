"""What tells gRPC where the xDS control plane is.

gRPC reads the text from the environment when a process' first xDS channel is used, and again only
after all of them are closed: it holds for the whole process. A channel that finds none is lost for
good. So it is there before, and one that somebody else wrote is left alone.
"""

import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

SERVER = "LLM_XDS_SERVER"
"""Environment variable that names another control plane, as HOST:PORT."""
DEFAULT_SERVER = "llm-operator-xds.llm-system.svc:18000"
"""Where the chart's default release puts it."""
FILE = "GRPC_XDS_BOOTSTRAP"
TEXT = "GRPC_XDS_BOOTSTRAP_CONFIG"
NODE = "llm-client"


def bootstrap(server: str) -> str:
    """The text for a control plane at HOST:PORT; the same in every namespace."""
    place = {
        "server_uri": server,
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3"],
    }
    node = {"id": NODE, "locality": {}}  # Node's library takes no text without a locality
    return json.dumps({"xds_servers": [place], "node": node})


def settle(environ: MutableMapping[str, str]) -> str:
    """Sees to it that there is a bootstrap, and tells where its control plane is.

    Empty where that cannot be seen with a plain connection. Raises ValueError for a bootstrap
    that cannot be read.
    """
    own = _own(environ)
    if own is not None:
        return own
    server = environ.get(SERVER) or DEFAULT_SERVER
    environ[TEXT] = bootstrap(server)
    return server


def _own(environ: Mapping[str, str]) -> str | None:
    """The control plane of a bootstrap that is there already; gRPC prefers the file."""
    path, text = environ.get(FILE), environ.get(TEXT)
    if path is None and not text:
        return None
    name = TEXT if path is None else FILE
    try:
        return _server(json.loads(text or "" if path is None else Path(path).read_text()))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{name}: this is no bootstrap for xDS: {error}") from error


def _server(config: Any) -> str:
    first = config["xds_servers"][0]
    is_plain = first["channel_creds"][0]["type"] == "insecure"
    return str(first["server_uri"]) if is_plain else ""
