"""openat2(2), which Python has no function for before 3.14.

RESOLVE_NO_SYMLINKS makes the kernel refuse every symbolic link on the way, in one call.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SYSCALL = 437  # the same on every architecture, as all calls since Linux 5.1
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_UNAVAILABLE = (errno.ENOSYS, errno.EPERM, errno.EINVAL)  # old kernel, seccomp, gVisor

_call: Any = None
_available = True


def open_beneath(root_fd: int, path: str) -> int | None:
    """Open a directory (O_PATH) below `root_fd`; None: walk instead. Raises OSError.

    None is the answer where the call does not exist and where a symbolic link is on the way.
    """
    global _available  # noqa: PLW0603  asked of the kernel once
    if not _available:
        return None
    try:
        how = _how()
    except (ImportError, OSError, AttributeError):  # a statically linked Python has no ctypes
        _available = False
        return None
    import ctypes

    fd: int = _call(
        ctypes.c_long(_SYSCALL),  # syscall(2) takes longs
        ctypes.c_long(root_fd),
        os.fsencode(path),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if fd >= 0:
        return fd
    code = ctypes.get_errno()
    if code in _UNAVAILABLE:
        _available = False
        return None
    if code in (errno.ELOOP, errno.EXDEV, errno.EAGAIN):
        return None
    raise OSError(code, os.strerror(code), "/" + path)


def _how() -> Any:
    """Return a `struct open_how`: flags, mode, resolve, three 64-bit numbers."""
    global _call  # noqa: PLW0603
    import ctypes

    if _call is None:
        _call = ctypes.CDLL(None, use_errno=True).syscall
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    return (ctypes.c_uint64 * 3)(flags, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)
