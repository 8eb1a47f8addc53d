"""Contents that come from the profile's folder: taken into the catalog, or copied from there."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from converge.errors import ApplyError, ConvergeError
from converge.files.regular import READING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TEXT = 64 << 10  # bytes of a text that the catalog holds itself


def as_text(data: bytes) -> str | None:
    """Return a content that is small and UTF-8, to be held in the catalog; None: it is not."""
    if len(data) > MOST_TEXT:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def checked(data: bytes, source: str, declared: str | None) -> str:
    """Return the digest of a source. Raises ConvergeError if another one is declared."""
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    if declared not in (None, digest):
        raise ConvergeError(
            f"{source} has the digest {digest}, not the declared {declared}",
            "correct `digest`, or bring the file that is meant",
        )
    return digest


@contextmanager
def opened(source: str, digest: str) -> Iterator[int]:
    """Lend a descriptor of a source (a real path, outside any root prefix) with that digest.

    Raises ApplyError if it cannot be opened or is no longer what was compiled.
    """
    import hashlib

    try:
        fd = os.open(source, READING)
    except OSError as error:
        raise ApplyError(f"the source {source} cannot be opened: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ApplyError(f"the source {source} is not a regular file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise ApplyError(
                f"the source {source} is not what the profile was compiled with", "run again"
            )
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
