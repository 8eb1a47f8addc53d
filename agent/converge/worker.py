"""The worker: one run for the resident agent, in a process of its own, which may die of it.

The request comes on stdin (converge.daemon.child), the result goes to descriptor 3: words ended by
NUL: exit code, run, `whole` or `partial`, `failed` if it shall be tried again soon or `idle` if
nothing was changed, then what is to be watched (converge.daemon.watches), `end`.
"""

from __future__ import annotations

import json
import os
import sys
import time

from converge import stopping
from converge.config import Settings, is_remote
from converge.daemon import kernel, watches
from converge.errors import ConvergeError
from converge.reports import logline
from converge.watching import Watching, steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

_RESULT = 3
_BADNESS = 300  # oom_score_adj: where memory is short, the worker goes before the application
_TICK = 10_000_000  # nanoseconds: the time of a change is that of the clock's last tick
_MOST_RECORDS = 15 << 20  # bytes of what is to be watched; the supervisor takes 16 MiB
_WAIT = 60.0  # seconds that a run waits for a `converge --once` beside it


def main() -> NoReturn:
    """Do what the supervisor asks for. The exit code says only whether there is a result."""
    request = sys.stdin.buffer.read()
    size, _, rest = request.partition(b"\n")
    head, blob = rest[: int(size)], rest[int(size) :]
    verb, reason, parent, *paths = head.decode(errors="surrogateescape").split("\0")
    _prepare(int(parent))
    settings, flags = settings_of(blob)
    words = _configure(flags) if verb == "configure" else _run(settings, reason, paths)
    data = "\0".join([*words, "end", ""]).encode(errors="surrogateescape")
    with open(_RESULT, "wb") as file:
        file.write(data)
    stopping.leave(0)


def _prepare(parent: int) -> None:
    """Be a process that ends with its parent, leaves no core and goes first when memory is short."""
    import resource

    os.set_inheritable(_RESULT, False)
    stopping.on_signals()
    kernel.die_with_parent(kernel.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)  # it has ended already
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(_BADNESS))
    except OSError:
        return


def settings_of(blob: bytes) -> tuple[Settings, dict[str, Any]]:
    """Return the settings and the flags that the supervisor hands on."""
    data = json.loads(blob.partition(b"\n\n")[2])
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in data["settings"].items()
    }
    return Settings(**values), data["flags"]


def _configure(flags: dict[str, Any]) -> list[str]:
    """Read the settings again; the answer is a new blob."""
    from converge import resident

    try:
        blob = resident.options(flags)
    except ConvergeError as error:
        logline.write([logline.event("logfmt", str(error), "error")], "stderr")
        return ["1", ""]
    return ["0", "", blob.decode(errors="surrogateescape")]


def _run(settings: Settings, reason: str, paths: list[str]) -> list[str]:
    from converge import runner
    from converge.reports.report import failed

    began = time.time_ns() - _TICK
    watching = Watching(settings.root, paths)
    asked = runner.Asked(
        reason=reason, choose=watching.choose, before_reading=watching.before_reading,
        last_good=True, phase="start" if reason == "start" else "run",
    )  # fmt: skip
    settings = settings.replace(wait=max(settings.wait, _WAIT))
    try:
        report = runner.once(settings, asked)
    except ConvergeError as error:
        line = logline.event(settings.log_format, str(error), "error", trigger=reason)
        logline.write([line], settings.log_to)
        _deliver(settings, failed(str(error), reason))
        return ["1", "", "partial", "failed", *profile_watches(settings.profile, began)]
    logline.write(logline.lines(report, settings.log_format), settings.log_to)
    _deliver(settings, report)
    whole = "partial" if report["partial"] else "whole"
    records = watching.records(report["contended"])
    if len("\0".join(records).encode(errors="surrogateescape")) > _MOST_RECORDS:
        text = f"{len(records)} paths are too many to watch: their drift is left to the timer"
        logline.write([logline.event(settings.log_format, text, "warning")], settings.log_to)
        records = []
    if whole == "whole":
        records = [*records, *profile_watches(settings.profile, began, watching.files)]
    fatal = any(entry["fatal"] for entry in report["resources"])
    ended = "failed" if fatal else "" if report["counts"]["changed"] else "idle"
    return [str(report["exit_code"]), report["id"], whole, ended, *records]


def _deliver(settings: Settings, report: dict[str, Any]) -> None:
    """Send the report in a process of its own: the next run does not wait for who receives it.

    The supervisor reaps it, as whatever else a worker leaves behind.
    """
    if not settings.report_to:
        return
    sys.stdout.flush()
    try:
        if os.fork():
            return
    except OSError as error:  # EAGAIN: too many processes
        text = f"the report could not be sent: {error.strerror}"
        logline.write([logline.event(settings.log_format, text, "warning")], settings.log_to)
        return
    code = 1
    try:
        os.close(_RESULT)
        os.setpgid(0, 0)
        from converge import delivery

        troubles = delivery.deliver(settings, report)
        lines = [logline.event(settings.log_format, one, "warning") for one in troubles]
        logline.write(lines, settings.log_to)
        code = 0
    finally:
        os._exit(code)


def profile_watches(profile: str, began: int, files: Iterable[str] = ()) -> list[str]:
    """Return the records of a profile's files, and of every link on the way to them.

    A ConfigMap is changed by another target of the link `..data` in its directory. What was changed
    since the run began may have been read before that: it gets a print that it does not have.
    """
    from converge.daemon import prints

    def number(path: str) -> int:
        now = time.time_ns()
        try:
            changed = os.lstat(path).st_ctime_ns
        except OSError:
            changed = 0
        return -1 if began <= changed <= now else prints.of(path)

    if is_remote(profile):
        return []  # nothing of it is on this machine
    found = {step for path in {profile, *files} for step in steps(path)}
    return [f"{watches.PROFILE} {number(step)} {step}" for step in sorted(found)]
