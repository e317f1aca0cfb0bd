"""Names of images in registries: ``host:port/repository:tag`` and ``…/repository@digest``."""

import re
from dataclasses import dataclass

from llm_runtime.errors import ModelError, Reason

_HOST = r"(?P<host>(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?)"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"{_HOST}/(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MAXIMUM_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's place; ``digest`` is ``sha256:<hex>`` and goes before ``tag``."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """``host/repository``."""
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.name + (f"@{self.digest}" if self.digest else tag)


def parse_reference(text: str) -> Reference:
    """Parses a reference, with or without ``oci://`` in front.

    Raises ModelError(FileNotFound) that shows the form when it is none.
    """
    match = _REFERENCE.fullmatch(text.removeprefix("oci://")[:_MAXIMUM_LENGTH])
    if match is None:
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"{text[:100]!r} is no image; write host:port/repository:tag or"
            " host:port/repository@sha256:<64 hex digits>",
        )
    return Reference(match["host"], match["repository"], match["tag"], match["digest"])
