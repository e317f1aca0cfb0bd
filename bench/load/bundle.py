"""The load generator as one file for a pod that holds llm_client: `python load.pyz HOST:PORT …`.

`python -m bench.load.bundle load.pyz` writes it. A ConfigMap carries it into a cluster, and
`--output lines` tells from there what happens.
"""

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
_ROOT = _FOLDER.parent.parent
_START = "from bench.load.__main__ import main\n\nmain()\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def archive() -> bytes:
    """A zip file that Python runs; equal sources make equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in _files():
            packed.writestr(zipfile.ZipInfo(name, _LONG_AGO), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files() -> Iterator[tuple[str, str]]:
    yield "__main__.py", _START
    for path in (_FOLDER.parent / "__init__.py", *sorted(_FOLDER.glob("*.py"))):
        yield path.relative_to(_ROOT).as_posix(), path.read_text()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(archive())
