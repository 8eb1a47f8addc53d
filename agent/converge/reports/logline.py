"""The resident agent's log, logfmt or JSON: one event a line, none that can be forged.

Values come from the report, where secrets are masked already. Whatever one holds stays inside its
quotes: line feeds, control characters and those that turn the direction of text are escaped. A line
has at most 4,000 bytes, less than PIPE_BUF (4,096 on Linux), so that no other write to the same pipe
gets between: pipe(7). See docs/logs.md.
"""

from __future__ import annotations

import os
import re
import time

from converge.textdiff import masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MOST_BYTES = 4000  # with the line feed
_LEVELS = {"changed": "info", "would_change": "info", "skipped": "info"}
_SHORT = 40  # characters; a value is not cut below them, the last value is left out instead
_PATIENCE = 1000  # milliseconds that a full pipe, or syslog, may take to have room
_DEV_LOG = "/dev/log"
_BARE = re.compile(r"[!#-<>-~]+")  # printable ASCII but the space, `"` and `=`
_UNSAFE = re.compile(  # and the two line separators of Unicode, and halves of surrogate pairs
    r'["\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]'
)
_ESCAPES = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_HEAD = re.compile(r'(?:time=\S+ level=|\{"time":"[^"]*","level":")([a-z]+)')
_told_of_syslog = False


def lines(report: dict[str, Any], form: str, *, always: bool = False) -> list[str]:
    """Return the lines of a run: what was not in sync, and what it came to; none if all was.

    `report` is that of `reports.report.make`, `form` "logfmt" or "json". What was skipped as the
    profile says so is not told. With `always` a run in sync has its last line too. All lines have
    the time at which the run ended.
    """
    common = {"run": report["id"], "trigger": report["reason"]}
    when = report["started"] + report["seconds"]
    told = [e for e in report["resources"] if e["fatal"] or e["outcome"] != "skipped"]
    made = [_line(form, when, *_resource(entry), common) for entry in told]
    made += [_line(form, when, "warning", message, common) for message in report["messages"]]
    if report["error"]:
        made.append(_line(form, when, "error", report["error"], common))
    if made or always:
        made.append(_line(form, when, *_summary(report), common))
    return made


def event(form: str, message: str, level: str = "info", **fields: Any) -> str:
    """Return the line of another event, now.

    Fields are strings, numbers, booleans, None or sequences of these; empty ones are left out.
    """
    return _line(form, time.time(), level, message, fields)


def write(lines: Iterable[str], to: str) -> None:
    """Write lines to "stderr" or "syslog"; a log that cannot be written stops nobody.

    Where no syslog listens at /dev/log, as in most containers, they go to stderr, which is said
    there once a process: a line in the wrong place is better than none.
    """
    lines = list(lines)
    if not lines:
        return
    trouble = ""
    if to == "syslog":
        from converge.daemon.say import to_syslog

        trouble = to_syslog(_with_levels(lines), _DEV_LOG, _PATIENCE)
        if not trouble:
            return
    _write_stderr([*_notice(trouble, lines[0]), *lines])


def _resource(entry: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return level, message and fields for one resource."""
    outcome = entry["outcome"]
    level = "error" if entry["fatal"] else _LEVELS.get(outcome, "warning")
    told = {"resource": entry["id"], **{key: entry[key] for key in ("kind", "outcome", "action")}}
    told["fields"] = [field["field"] for field in entry["fields"]]
    told |= {key: entry[key] for key in ("reason", "remedy")}
    return level, f"{outcome.replace('_', ' ')} {entry['id']}", told


def _summary(report: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return level, message and fields for a run: how it ended, and the counts that are not 0."""
    counts = {name: number for name, number in report["counts"].items() if number}
    told = {"exit_code": report["exit_code"], "seconds": report["seconds"], **counts}
    return "error" if report["exit_code"] & 5 else "info", "run ended", told


def _line(form: str, when: float, level: str, message: str, *fields: dict[str, Any]) -> str:
    """Return a line, the longest values cut until it fits."""
    told: dict[str, Any] = {"time": _stamp(when), "level": level, "msg": _plain(message)}
    for more in fields:
        told |= {key: _plain(v) for key, v in more.items() if v not in ("", None, [], ())}
    shape = _json if form == "json" else _logfmt
    while len((line := shape(told)).encode()) >= MOST_BYTES:
        longest = max(told, key=lambda key: len(str(told[key])))
        text = str(told[longest])
        if len(text) > _SHORT:
            told[longest] = text[: max(_SHORT, len(text) * 3 // 4) - 1] + "…"
        else:
            told.popitem()
    return line


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, none longer than a line needs."""
    if isinstance(value, bool | int | float):
        return value
    text = masked(",".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
    return text if len(text) <= MOST_BYTES else text[: MOST_BYTES - 1] + "…"


def _stamp(when: float) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC, with milliseconds."""
    seconds, thousandths = divmod(int(when * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{thousandths:03d}Z"


def _logfmt(told: dict[str, Any]) -> str:
    return " ".join(f"{key}={_quoted(value)}" for key, value in told.items())


def _quoted(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _BARE.fullmatch(text) else f'"{_UNSAFE.sub(_escape, text)}"'


def _json(told: dict[str, Any]) -> str:
    import json

    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: found[0] if found[0] in '"\\' else _escape(found), text)


def _escape(found: re.Match[str]) -> str:
    """Return a character as readers of JSON and of logfmt take it back."""
    return _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}"


def _write_stderr(lines: list[str]) -> None:
    """Write each line at once; a reader that has stopped reading costs the rest, never the run."""
    import select

    room = select.poll()
    room.register(2, select.POLLOUT)  # of a pipe: PIPE_BUF bytes are free
    for line in lines:
        try:
            if not room.poll(_PATIENCE):
                return
            os.write(2, f"{line}\n".encode())
        except OSError:
            return  # closed, full or gone


def _with_levels(lines: list[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        head = _HEAD.match(line)
        yield head[1] if head else "info", line


def _notice(trouble: str, like: str) -> list[str]:
    """Return, once a process, the line that tells why syslog is not used, in the form of `like`."""
    global _told_of_syslog  # noqa: PLW0603  it is said once
    if not trouble or _told_of_syslog:
        return []
    _told_of_syslog = True
    form = "json" if like.startswith("{") else "logfmt"
    return [event(form, "there is no syslog, the log goes to stderr", "warning", reason=trouble)]
