"""Writing of sysctls: the live value, and the drop-in files."""

from __future__ import annotations

import errno
import os

from converge.errors import ApplyError, CannotManageError, ConvergeError
from converge_resources.sysctls import keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.provider import Change
    from converge.system import System
    from converge_resources.sysctl import SysctlSpec, SysctlState

_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def write_live(change: Change[SysctlSpec, SysctlState], system: System) -> None:
    """Set one live value. Raises CannotManageError where it is forbidden, else ApplyError."""
    key = change.spec.name
    wanted = (change.after and change.after.value) or ""
    live = (change.before and change.before.value) or ""
    has, given = keys.count_fields(live), keys.count_fields(wanted)
    if has and given and has != given:  # the kernel would take it, and change only a part
        raise ApplyError(
            f"the kernel has {has} field(s) for {key}, now {live!r}; {wanted!r} has {given}",
            f"give the whole value, {has} field(s)",
        )
    try:
        system.write_kernel(keys.path_of(key), f"{wanted}\n".encode())
    except OSError as error:
        raise _refusal(key, wanted, error) from error


def _refusal(key: str, value: str, error: OSError) -> ConvergeError:
    if error.errno in _FORBIDDEN:
        return CannotManageError(f"{key} cannot be written: {error.strerror}")
    remedy = "the value is not one that this key takes, or out of its range"
    if error.errno == errno.ENOENT:
        remedy = "the kernel does not know what the value names; is its module loaded on the host?"
    elif error.errno not in (errno.EINVAL, errno.ERANGE):
        remedy = ""
    return ApplyError(f"{key}: the kernel refuses {value!r}: {error.strerror}", remedy)


def write_file(file: str, lines: Mapping[str, str | None], system: System) -> None:
    """Set lines, or remove those that are None; a missing directory is made, an empty file removed.

    Raises CannotManageError where it is forbidden, else OSError, ApplyError.
    """
    folder = os.path.dirname(file)
    try:
        if system.lstat(folder) is None:
            if system.lstat(os.path.dirname(folder)) is None:
                raise ApplyError(f"there is no {folder}", "declare it as a `directory` resource")
            system.make_directory(folder)
        text = keys.rewrite(system.text(file), lines)
        if text:
            system.write(file, text.encode(errors="surrogateescape"))
        else:
            system.remove(file)
    except OSError as error:
        if error.errno in _FORBIDDEN:
            raise CannotManageError(f"{file} cannot be written: {error.strerror}") from error
        raise
