"""What the fault tests need of the machine: on CI its absence fails, elsewhere it skips, loudly."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import pytest

IS_ROOT = os.geteuid() == 0


def need(there: bool, what: str) -> None:
    """Go on only if this machine has it."""
    if there:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI is set, and {what}")
    pytest.skip(what)


def need_root() -> None:
    """Go on only as root."""
    need(IS_ROOT, "only root can act for two users: run `sudo make test`")


def need_programs(*names: str) -> None:
    """Go on only if these programs are here (Debian: strace, util-linux, e2fsprogs)."""
    missing = [name for name in names if shutil.which(name) is None]
    need(not missing, f"{missing} is missing: apt-get install strace util-linux e2fsprogs")


def need_strace() -> None:
    """Go on only if strace is here and may trace (a container needs SYS_PTRACE for it)."""
    need_programs("strace")
    need(_works("strace", "-o", "/dev/null", "true"), "strace may not trace here: no ptrace(2)")


def need_mounts() -> None:
    """Go on only if a mount namespace can be made (a container needs SYS_ADMIN for it)."""
    need_root()
    need_programs("unshare", "mount")
    need(_works("unshare", "-m", "true"), "no mount namespace can be made here: no CAP_SYS_ADMIN")


@cache
def _works(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True).returncode == 0
