"""A page's walk: its files are written, its commands run, and what they print is what it shows."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+)(, at its end)?\n")
_LOOKING = re.compile(r"curl |\w+ exec \S+ converge status")


class Step(NamedTuple):
    """A file to be written (`path`), or a command and what it prints, with `…` for anything."""

    command: str
    shown: str
    path: str = ""
    more: bool = False


def steps(page: str) -> list[Step]:
    """Return what a page tells to do, in its order."""
    found: list[Step] = []
    for language, text in _BLOCK.findall(page):
        named = _FILE.match(text)
        if language == "console":
            found += commands(text)
        elif named:
            found.append(Step("", text[named.end() :], named[1], more=bool(named[2])))
    return found


def commands(block: str) -> list[Step]:
    """Return the commands of a console block, each with the lines below it."""
    joined = block.replace("\\\n", " ")
    return [
        Step(typed, shown)
        for typed, _, shown in (
            part.partition("\n") for part in re.split(r"^\$ ", joined, flags=re.M)
        )
        if typed
    ]


def take(step: Step, folder: Path, names: dict[str, str]) -> None:
    """Do one step in a folder, with each of `names` replaced. What only looks is tried for a minute."""
    if step.path:
        write(step._replace(shown=replaced(step.shown, names)), folder)
        return
    command = replaced(step.command, names)
    pattern, printed = re.compile(expected(step.shown)), ""

    def fits() -> bool:
        nonlocal printed
        printed = subprocess.run(
            ["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=600,
        ).stdout  # fmt: skip
        return pattern.fullmatch(printed) is not None

    for _ in range(600 if _LOOKING.match(command) else 1):
        if fits():
            return
        time.sleep(0.1)
    raise AssertionError(f"{command}\n{printed}\nis not\n{step.shown}")


def expected(shown: str) -> str:
    """Return the pattern of what is shown: `…` is anything, alone on a line any lines."""
    lines = shown.splitlines(keepends=True)
    return "".join(
        "(?:.*\n)*" if line == "…\n" else ".*".join(map(re.escape, line.split("…")))
        for line in lines
    )


def replaced(text: str, names: dict[str, str]) -> str:
    """Return a text with names of the page's replaced by the test's."""
    for name, ours in names.items():
        text = text.replace(name, ours)
    return text


def write(step: Step, folder: Path) -> None:
    """Write a file that the page shows, or add to it, for everybody to read."""
    file = folder / step.path
    file.parent.mkdir(exist_ok=True)
    file.parent.chmod(0o755)
    before = file.read_text(encoding="utf-8") if step.more else ""
    file.write_text(before + step.shown, encoding="utf-8")
    file.chmod(0o644)
