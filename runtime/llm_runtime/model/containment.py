"""Names and paths that come from outside stay inside the folder they belong to."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from llm_runtime.errors import ModelError, Reason

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def plain_name(name: str) -> str:
    """The name itself when it is a plain file name; ModelError(ChecksumMismatch) otherwise.

    Plain: at most 100 letters, digits, dots, dashes and underscores, no leading dot. So neither
    a separator, ``..`` nor a control character can be in it.
    """
    if _PLAIN_NAME.fullmatch(name) is None:
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"the file name {name[:100]!r} is not allowed: only plain names at the model's root,"
            " so the model was altered or is not one of ours; export it again",
        )
    return name


def open_regular(directory: Path, name: str) -> BinaryIO:
    """Opens ``directory/name`` for reading, if it is a regular file and no symlink.

    A symlink would let a model read a file that is not its own. A hard link cannot be told from
    what it links to, so contents are compared with their digests besides.
    Raises ModelError: FileNotFound, or ChecksumMismatch for anything but a regular file.
    """
    path = directory / plain_name(name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ModelError(
            Reason.FILE_NOT_FOUND, f"{name} is missing from the model; fetch or export it again"
        ) from error
    except OSError as error:
        raise _not_regular(name) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(name)
    return os.fdopen(descriptor, "rb")


def _not_regular(name: str) -> ModelError:
    return ModelError(
        Reason.CHECKSUM_MISMATCH,
        f"{name} is a link or not a regular file; a model holds plain files only, fetch or export"
        " it again",
    )
