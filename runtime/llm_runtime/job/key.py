"""The name of an artifact before it exists: everything that decides its content, hashed."""

import hashlib
import json

from llm_runtime.export.layout import EXPORTER_GRAPH_VERSION
from llm_runtime.export.manifest import FORMAT_VERSION


def content_key(identity: str, precision: str) -> str:
    """64 hex digits; equal for equal weights and settings, whoever asks and wherever they lie.

    ``identity`` is that of a pinned source. A change of format or graph gives other keys.
    """
    document = {
        "format": FORMAT_VERSION,
        "exporterGraphVersion": EXPORTER_GRAPH_VERSION,
        "source": identity,
        "settings": {"precision": precision},
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
