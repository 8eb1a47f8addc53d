"""From the command line to the resident agent: settings become options, this process the supervisor.

The settings are read here, with all that it takes (YAML); then the process is replaced by one that
has imported none of it.
"""

from __future__ import annotations

import json
import os
import sys

from converge import config
from converge.daemon.options import dump, memory_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from converge.config import Settings


def become(flags: Mapping[str, Any], *, ready: int = -1, beside: int = 0) -> NoReturn:
    """Become the supervisor. `ready` is a descriptor that gets the first run's exit code.

    `beside` is a process with which it ends (0: none).
    Raises ConvergeError for settings that are wrong.
    """
    blob = options(flags, ready=ready, beside=beside)
    _open_missing_descriptors()
    fd = memory_file(blob)
    os.set_inheritable(fd, True)
    if ready >= 0:
        os.set_inheritable(ready, True)
    program = os.path.join(os.path.dirname(__file__), "daemon", "__main__.py")
    argv = [sys.executable, "-ISB", program, str(fd)]
    sys.stdout.flush()
    os.chdir("/")
    os.execv(sys.executable, argv)  # noqa: S606  the same Python, by its absolute path


def options(flags: Mapping[str, Any], *, ready: int = -1, beside: int = 0) -> bytes:
    """Return the supervisor's options for flags (as converge.config.load takes them)."""
    from converge.state import directory as states
    from converge.state import lock

    settings = config.load(flags, os.environ)
    state = states.find(settings.state_dir, settings.root)
    runtime = lock.runtime_directory(settings.runtime_dir, settings.root)
    runtime = runtime or (state.path if state else "")
    plain = {"settings": settings.as_dict(), "flags": dict(flags)}
    return dump(
        {
            "interval": settings.interval,
            "splay": share(settings) if settings.splay else -1,
            "deadline": settings.deadline,
            "events": settings.events,
            "poll": settings.poll,
            "log_format": settings.log_format,
            "log_to": settings.log_to,
            "listen": settings.metrics_listen or "",
            "runtime": runtime,
            "state": state.path if state else "",
            "program": sys.executable,
            "ready": ready,
            "beside": beside,
            "watch": int(_watchable(settings.profile)),
        },
        json.dumps(plain).encode(),
    )


def _watchable(profile: str) -> bool:
    if not config.is_remote(profile):
        return False
    from converge import sources

    return sources.load(profile).watchable


def share(settings: Settings) -> float:
    """Return the place of this container's slot in the interval, 0 to 1, the same at each start."""
    import hashlib

    from converge.bundle.identity import identity

    digest = hashlib.sha256(identity(settings.root).encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _open_missing_descriptors() -> None:
    """Give a closed stdin, stdout or stderr a place, so that no descriptor of ours gets its number.

    What Python has opened there is closed by exec, unless it is told otherwise.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number
        os.set_inheritable(fd, True)
