"""A directory of our own: 0700, of the agent's own user, a real directory, nobody's to swap.

The state and the lock live in such directories. In /tmp and /dev/shm anyone may have put something
under the name that we want, so what is there is looked at (never through a symbolic link) and what
is wrong is refused, never repaired: its content is not ours.
"""

from __future__ import annotations

import errno
import os
import stat

from converge.errors import ConvergeError, MissingError, UsageError

FALLBACKS = ("/run", "/tmp", "/dev/shm")  # noqa: S108  looked at before it is believed


def places(root: str, own: str, name: str) -> list[str]:
    """Return where a private directory may live, best first.

    ROOT/OWN/NAME; if that lets others in (a volume that is mounted there), a directory of our own in
    it, NAME-UID, where nobody else can put another in its place; /run/NAME-UID, … Below a root prefix
    nothing outside it is touched.
    """
    first, private = os.path.join(root, own, name), f"{name}-{os.geteuid()}"
    found = [first, f"{first}/{private}"] if _lets_others_in(first) else [first]
    return [*found, *(f"{folder}/{private}" for folder in FALLBACKS if root == "/")]


def _lets_others_in(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    others = found.st_uid != os.geteuid() or bool(found.st_mode & 0o077)
    return stat.S_ISDIR(found.st_mode) and others


def choose(explicit: str | None, candidates: list[str], what: str, *, create: bool) -> str | None:
    """Return the directory to use; None: there is none.

    `explicit` is used or UsageError is raised, `what` being the setting that named it. Of the
    candidates the first that can be written is made (with `create`) or found; without `create` the
    first that can at least be read will do.
    """
    if explicit is not None:
        trouble = problem(explicit, create=create)
        if trouble == "" or (trouble is None and not create):
            return explicit if trouble == "" else None
        raise UsageError(f"{what}: {trouble}", "name a directory that only the agent can change")
    for write in (True,) if create else (True, False):
        for path in candidates:
            if problem(path, create=create, write=write) == "":
                return path
    return None


def problem(path: str, *, create: bool, write: bool = True) -> str | None:
    """Return why a directory cannot be ours; empty: it can; None: there is nothing (yet).

    With `create` it is made, and the directories above it. A good one is not touched.
    """
    if not path.startswith("/"):
        return f"{path!r} is not an absolute path"
    try:
        if create and not os.path.lexists(path):
            trouble = _swappable(path, missing=True)
            if trouble:
                return trouble  # nothing is left where it would be refused
            _make(path)
        found = os.lstat(path)
    except OSError as error:
        if not create and error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        return f"{path} cannot be {'made' if create else 'looked at'}: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is not a directory"
    if found.st_uid != os.geteuid():
        return f"{path} belongs to uid {found.st_uid}, not to uid {os.geteuid()}"
    if found.st_mode & 0o077:
        return f"{path} has mode {found.st_mode & 0o7777:04o}, which lets others in: chmod 0700"
    wanted = os.R_OK | os.X_OK | (os.W_OK if write else 0)
    if not os.access(path, wanted, effective_ids=True):
        return f"{path} cannot be {'written' if write else 'read'}"
    return _swappable(path)


def make(path: str, what: str) -> None:
    """Make a private directory, or check the one that is there. Raises UsageError."""
    choose(path, [], what, create=True)


def _make(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return  # somebody was faster; what it is, is looked at next
    except FileNotFoundError:
        _make_above(os.path.dirname(path))
        os.mkdir(path, 0o700)


def _make_above(path: str) -> None:
    if path != "/" and not os.path.isdir(path):
        _make_above(os.path.dirname(path))
        os.mkdir(path, 0o755)


def _swappable(path: str, *, missing: bool = False) -> str:
    """Return who could put another in its place; with `missing` it need not be there."""
    from converge.files import trust

    try:
        trust.directory(path)
    except MissingError as error:
        return "" if missing else str(error)
    except ConvergeError as error:
        return str(error)
    return ""
