"""Directory trees of users, walked on descriptors: copied, or given to other ids."""

from __future__ import annotations

import os
import stat

from converge.errors import ApplyError
from converge.files.attributes import PIN
from converge.files.regular import READING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.system import System


def copy_content(system: System, source: str, target: str, owner: tuple[int, int] | None) -> None:
    """Copy what is in one directory to another, which is there; what is at the target stays.

    `owner`: (uid, gid) of all that is made, None: as at the source. Set-id bits are not copied;
    sockets, devices and FIFOs are left out. Raises OSError, ApplyError.
    """
    inside = source.rstrip("/") + "/"
    mounted = [point for point in system.mounts() if point == source or point.startswith(inside)]
    if mounted:
        raise ApplyError(f"{source} is not copied: {mounted[0]} is a mount")
    for name in system.list(source):
        _copy(system, f"{source}/{name}", f"{target}/{name}", owner)


def _copy(system: System, source: str, target: str, owner: tuple[int, int] | None) -> None:
    found = system.lstat(source)
    if found is None:
        return
    uid, gid = owner or (found.st_uid, found.st_gid)
    mode = found.st_mode & 0o1777
    there = system.lstat(target) is not None
    if stat.S_ISDIR(found.st_mode):
        if not there:
            system.make_directory(target, mode=0o700)
        copy_content(system, source, target, owner)
        system.set_attributes(target, uid=uid, gid=gid, mode=mode)
    elif stat.S_ISLNK(found.st_mode):
        system.make_symlink(target, system.readlink(source) or "", uid=uid, gid=gid)
    elif stat.S_ISREG(found.st_mode) and not there:
        _copy_file(system, source, target, (uid, gid, mode))
    else:
        return
    times = (found.st_atime_ns, found.st_mtime_ns)
    folder_fd, name = system.paths.parent(target)
    os.utime(name, ns=times, dir_fd=folder_fd, follow_symlinks=False)


def _copy_file(system: System, source: str, target: str, dress: tuple[int, int, int]) -> None:
    uid, gid, mode = dress
    folder_fd, name = system.paths.parent(source)
    fd = os.open(name, READING, dir_fd=folder_fd)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ApplyError(f"{source} was replaced while it was being copied")
        system.write(target, source_fd=fd, uid=uid, gid=gid, mode=mode, backup=False)
    finally:
        os.close(fd)


def give_tree(system: System, top: str, old: tuple[int, int], new: tuple[int, int]) -> None:
    """Give a directory and what is below it on its file system from one (uid, gid) to another.

    Only what has the old id gets the new one, so that a hard link to a file of another user's is
    left alone. The top comes last: until then the tree can be found by its old owner.
    """
    device = None
    todo, folders = [top], []
    while todo:
        path = todo.pop()
        folder_fd, name = system.paths.parent(path)
        fd = os.open(name, PIN, dir_fd=folder_fd)
        try:
            found = os.fstat(fd)
            device = found.st_dev if device is None else device
            if found.st_dev != device:
                continue
            if stat.S_ISDIR(found.st_mode):
                folders.append(path)
                todo += [f"{path}/{child}" for child in system.list(path)]
            else:
                _give(fd, found, old, new)
        finally:
            os.close(fd)
    for path in reversed(folders):
        _give_folder(system, path, old, new)


def _give_folder(system: System, path: str, old: tuple[int, int], new: tuple[int, int]) -> None:
    folder_fd, name = system.paths.parent(path)
    fd = os.open(name, PIN, dir_fd=folder_fd)
    try:
        _give(fd, os.fstat(fd), old, new)
    finally:
        os.close(fd)


def _give(fd: int, found: os.stat_result, old: tuple[int, int], new: tuple[int, int]) -> None:
    uid = new[0] if found.st_uid == old[0] else -1
    gid = new[1] if found.st_gid == old[1] else -1
    if (uid, gid) != (-1, -1) and (uid, gid) != (found.st_uid, found.st_gid):
        os.chown(f"/proc/self/fd/{fd}", uid, gid)  # the link's own owner, if it is a link
