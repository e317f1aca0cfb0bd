"""The operator's token for control ports."""

from pathlib import Path


class TokenUnavailableError(Exception):
    """The projected token cannot be read: control ports are not asked meanwhile."""


def read_token(path: str) -> str:
    """The token, read anew each time because the kubelet replaces it before it expires.

    Raises TokenUnavailableError; its text never holds the token.
    """
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenUnavailableError(f"{path}: {type(error).__name__}") from error
    if not token:
        raise TokenUnavailableError(f"{path} is empty")
    return token
