"""Replace, with the system's own writer, one file below a scratch directory: a victim for strace."""

import os
import sys

from converge.backup import Backups
from converge.journal import Journal
from converge.system import System

NEW = b"new " * 3000


def main(scratch: str) -> None:
    state = f"{scratch}/state"
    os.makedirs(state, exist_ok=True)
    os.makedirs(f"{state}/backups", mode=0o700, exist_ok=True)
    system = System(
        f"{scratch}/root", backups=Backups(f"{state}/backups"), journal=Journal(f"{state}/journal")
    )
    system.recover()
    print("start", flush=True)
    found = system.read("/etc/target")
    if found != NEW or system.lstat("/etc/target").st_mode & 0o7777 != 0o640:
        system.write("/etc/target", NEW, mode=0o640)
    else:
        system.sweep("/etc")


if __name__ == "__main__":
    main(sys.argv[1])
