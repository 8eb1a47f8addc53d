"""What a path looks like, as one number: a change of it is drift, or nothing."""

from __future__ import annotations

import os
import stat

ABSENT = 0


def of(path: str, *, content: bool = False) -> int:
    """Return a number for what lies at `path` (a link itself), ABSENT for nothing.

    Of a directory only its owner and mode count, with `content` also what was put in or taken out.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return ABSENT
    same = (found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid)
    if not stat.S_ISDIR(found.st_mode):
        return hash((*same, found.st_size, found.st_mtime_ns, found.st_ctime_ns)) or 1
    return hash((*same, found.st_mtime_ns) if content else same) or 1
