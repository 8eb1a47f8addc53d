"""Writing a file where the user asked for it on the command line: whole, or not at all."""

from __future__ import annotations

import os

from converge.errors import UsageError
from converge.files import atomic


def put(path: str, data: bytes, mode: int = 0o644, *, new: bool = False) -> None:
    """Put a file in place; `new`: never over one that is there. Raises UsageError."""
    folder, base = os.path.split(os.path.abspath(path))
    if new and os.path.lexists(path):
        raise UsageError(f"{path} is there already", "it is never overwritten")
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            atomic.replace(fd, base, data, mode)
        finally:
            os.close(fd)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
