"""Writing into a mount point, which cannot be renamed over (rename(2) EBUSY).

Backup → journal (the old content) → write → read back → journal closed. What cannot be finished is
put back; what was killed half-way is put back by the next run.
"""

from __future__ import annotations

import os
import stat

from converge.errors import ApplyError
from converge.files.attributes import change_attributes
from converge.files.regular import WRITING, open_regular, overwrite, read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from converge.files.journal import Journal
    from converge.files.writer import Replacement


def write_in_place(
    folder_fd: int,
    name: str,
    new: Replacement,
    journal: Journal | None,
    keep: Callable[[str, int], None],
) -> None:
    """Give a mounted file its content, owner and mode. Raises OSError, ApplyError."""
    if journal is None:
        raise ApplyError(
            f"{new.path} is a mount, which can only be written in place, and no state "
            "directory can be written for the journal",
            "set CONVERGE_STATE_DIR",
        )
    fd = open_regular(folder_fd, name, WRITING)
    try:
        old = read_all(fd)
        content = _content(new, old)
        if content != old:
            if new.backup:
                keep(new.path, fd)
            if new.validate:
                journal.show(content, new.validate)
            _journalled(fd, old, content, new, journal)
        change_attributes(fd, new.uid, new.gid, new.mode)
    finally:
        os.close(fd)


def _journalled(fd: int, old: bytes, content: bytes, new: Replacement, journal: Journal) -> None:
    found = os.fstat(fd)
    before = stat.S_IMODE(found.st_mode)
    tight = None if new.mode is None else before & new.mode
    entry = journal.begin(new.path, old)
    try:
        change_attributes(fd, new.uid, new.gid, tight)  # a secret is not shown to who may read now
        overwrite(fd, content)
    except BaseException as error:
        _put_back(fd, old, new.path)
        journal.end(entry)
        change_attributes(fd, found.st_uid, found.st_gid, before)
        if isinstance(error, OSError):
            raise ApplyError(
                f"{new.path}: written in place, and put back: {error.strerror}"
            ) from error
        raise
    journal.end(entry)


def _put_back(fd: int, old: bytes, path: str) -> None:
    try:
        overwrite(fd, old)
    except OSError as error:  # the journal's entry stays
        raise ApplyError(
            f"{path}: half-written in place, and cannot be put back: {error.strerror}",
            "the next run tries again; the old content is in the journal of the state directory",
        ) from error


def _content(new: Replacement, old: bytes) -> bytes:
    if new.content is not None:
        return new.content
    return old if new.source_fd is None else read_all(new.source_fd)
