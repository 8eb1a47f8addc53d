"""A fake root with account files, and stand-ins for shadow-utils."""

from __future__ import annotations

import os

from converge.files.backup import Backups
from converge.files.journal import Journal
from converge.programs.process import Completed
from converge.testing import FakeSystem
from converge_resources.accounts.commands import PROGRAMS

HASH = "$6$saltsalt$" + "CANARYcanary0123456789./" * 3
OTHER_HASH = "$y$j9T$saltsaltsalt$" + "otherOTHER9876543210./ab" * 2
ME = os.geteuid()
USER = ME or 1234  # an id that files may be given to, whoever runs the tests
GROUP = os.getegid() or 1234

FILES = {
    "passwd": (
        "root:x:0:0:root:/root:/bin/bash\n"
        "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
        "# a comment\n"
        "broken:x:many:1::/:/bin/sh\n"
        "old:x:1500:1500:Old User:/home/old:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        "+::::::\n"
    ),
    "group": (
        "root:x:0:\n"
        "daemon:x:1:\n"
        "adm:x:4:daemon\n"
        "sudo:x:27:old\n"
        "video:x:44:\n"
        "old:x:1500:\n"
        "nogroup:x:65534:\n"
        "+:::\n"
    ),
    "shadow": (
        "root:*:20000:0:99999:7:::\n"
        "daemon:*:20000:0:99999:7:::\n"
        f"old:{OTHER_HASH}:20000:0:99999:7:::\n"
        "nobody:*:20000:0:99999:7:::\n"
    ),
    "gshadow": "root:*::\ndaemon:*::\nadm:*::daemon\nsudo:*::old\nvideo:*::\nold:!::\nnogroup:*::\n",
    "login.defs": "# settings\nUMASK\t\t022\nPASS_MAX_DAYS 99999\nUSERGROUPS_ENAB yes\n",
}


def make_root(tmp_path, *, without=(), programs=None):
    """Return a FakeSystem over account files in tmp_path/root; `without` names files left out."""
    root = tmp_path / "root"
    (root / "etc/skel").mkdir(parents=True)
    (root / "home").mkdir()
    (root / "etc/skel/.profile").write_text("umask 022\n")
    for name, text in FILES.items():
        if name not in without:
            (root / "etc" / name).write_text(text)
    for name in {"shadow", "gshadow"} - {*without}:
        (root / "etc" / name).chmod(0o640)
    return FakeSystem(
        root,
        programs,
        backups=Backups(str(tmp_path / "backups")),
        journal=Journal(str(tmp_path / "journal")),
    )


def read(system, name):
    """Return an account file as text."""
    with open(f"{system.root}/etc/{name}") as file:
        return file.read()


def line(system, file, name):
    """Return the entry of a name in an account file, split; None: there is none."""
    for text in read(system, file).split("\n"):
        if text.startswith(f"{name}:"):
            return text.split(":")
    return None


class Tools:
    """Stand-ins for shadow-utils that record argv and stdin, and answer as they are told."""

    def __init__(self):
        self.calls = []
        self.answers = {}

    def programs(self):
        """Return the programs for a FakeSystem."""
        return dict.fromkeys(PROGRAMS, self._run)

    def _run(self, argv, stdin):
        name = os.path.basename(argv[0])
        self.calls.append((name, *argv[1:], stdin) if stdin else (name, *argv[1:]))
        code, err = self.answers.get(name, (0, ""))
        return Completed(argv=tuple(argv), code=code, out="", err=err)
