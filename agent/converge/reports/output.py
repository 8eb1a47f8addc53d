"""What people see: a diff per change, a line per outcome that is not in sync, a summary."""

from __future__ import annotations

import os
import sys
import time

from converge.textdiff import escaped, in_words, masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, NoReturn, Self, TextIO

    from converge.config import Settings

_STYLES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_MARKS = {
    "changed": ("green", "changed"),
    "would_change": ("yellow", "would change"),
    "failed": ("red", "failed"),
    "unmanageable": ("red", "unmanageable"),
    "skipped": ("dim", "skipped"),
}
_PROGRESS_AFTER = 1.0  # seconds before a progress bar is worth its import


class Painter:
    """Colours where they are wanted: by --color, NO_COLOR and whether this is a terminal."""

    def __init__(self, when: str, stream: TextIO) -> None:
        self.stream = stream
        self.on = when == "always" or (when == "auto" and stream.isatty())

    def paint(self, style: str, text: str) -> str:
        """Return the text in a style."""
        return f"\033[{_STYLES[style]}m{text}\033[0m" if self.on else text

    def line(self, text: str = "") -> None:
        """Print a line; a reader that has gone (`| head`) must not end a run."""
        try:
            print(masked(text), file=self.stream)
        except BrokenPipeError:
            silence(self.stream)
        except OSError as error:
            lose(self.stream, error)


def silence(stream: TextIO) -> None:
    """Send what is still to be printed nowhere: nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def lose(stream: TextIO, error: OSError) -> NoReturn:
    """End with exit code 1 where what there is to tell cannot be written (a full disk)."""
    silence(stream)
    sys.stderr.write(f"converge: the output cannot be written: {error.strerror}\n")
    raise SystemExit(1)


def print_report(report: dict[str, Any], settings: Settings) -> None:
    """Print a report for people."""
    painter = Painter(settings.color, sys.stdout)
    for line in report["error"].splitlines():
        painter.line(painter.paint("red", escaped(line)))
    for message in report["messages"]:
        painter.line(painter.paint("yellow", message))
    for told in report["resources"]:
        if told["fatal"] or not settings.quiet:
            _print_resource(painter, told, dry=report["dry_run"])
    for name in () if settings.quiet else report["refreshed"]:
        word = "would refresh" if report["dry_run"] else "refreshed"
        painter.line(f"{painter.paint('green', word)} {escaped(name)}")
    if not settings.quiet:
        painter.line(summary(report, painter))


def _print_resource(painter: Painter, told: dict[str, Any], *, dry: bool) -> None:
    style, word = _MARKS[told["outcome"]]
    if told["outcome"] == "unmanageable" and not told["fatal"]:
        style = "yellow"
    verb = told["verb"] if "change" in told["outcome"] else ""
    how = [f"would be {verb}" if dry else verb] if verb else []
    if told["in_place"]:
        how = [", ".join([*how, "written in place, as it is a mount"])]
    how += [escaped(told["reason"], keep="\n")] if told["reason"] else []
    how += [f"({escaped(told['remedy'])})"] if told["remedy"] else []
    text = f"{painter.paint(style, word)} {painter.paint('bold', escaped(told['id']))}"
    painter.line(text + (f": {' '.join(how)}" if how else ""))
    for field in told["fields"] if told["action"] != "remove" else ():
        _print_field(painter, field, created=told["action"] == "create")
    for line in told["diff"].splitlines():
        mark = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        painter.line("    " + (painter.paint(mark, line) if mark else line))


def _print_field(painter: Painter, field: dict[str, Any], *, created: bool) -> None:
    if field["before"] is None and field["after"] is None:
        return  # a text, shown as a diff
    name, after = field["field"], painter.paint("green", in_words(field["after"]))
    if created:
        painter.line(f"    {name}: {after}")
    else:
        before = painter.paint("red", in_words(field["before"]))
        painter.line(f"    {name}: {before} → {after}")


def summary(report: dict[str, Any], painter: Painter) -> str:
    """Return the last line: counts that are not zero, and the time."""
    counts = report["counts"]
    total = sum(counts.values())
    parts = [
        painter.paint(_MARKS[name][0] if name in _MARKS else "green", f"{counts[name]} {word}")
        for name, word in (
            ("in_sync", "in sync"), ("changed", "changed"), ("would_change", "would change"),
            ("failed", "failed"), ("unmanageable", "unmanageable"), ("skipped", "skipped"),
        )
        if counts[name]
    ]  # fmt: skip
    shown = ", ".join(parts) or "nothing to look at"
    noun = "resource" if total == 1 else "resources"
    return f"{escaped(report['profile'])}: {total} {noun}: {shown}, in {report['seconds']:.2f} s"


class Progress:
    """A progress bar on a terminal, for a run that takes more than a second; else nothing."""

    def __init__(self, settings: Settings) -> None:
        self._on = sys.stderr.isatty() and not (settings.quiet or settings.json)
        self._begin = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tick(self, done: int, total: int) -> None:
        """Show how far the run has got."""
        if not self._on or time.monotonic() - self._begin < _PROGRESS_AFTER:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("converging", total=total)
        self._bar.update(self._task, completed=done, total=total)
