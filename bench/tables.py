"""The figures of bench/run.py as tables of Markdown."""

from __future__ import annotations

from typing import Any

Summaries = dict[str, dict[str, float]]
BARE, LOOP = "bare interpreter", "minimal Python loop"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table, and an empty one."""
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(row) + " |" for row in cells] + [""]


def number(value: float) -> str:
    """Return a number with the digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def time(one: dict[str, float] | None) -> str:
    """Return the median of a summary, its spread and the CPU time."""
    if one is None:
        return "-"
    cpu = f" ({number(one['cpu'])})" if "cpu" in one else ""
    return f"{number(one['ms'])} ± {number(one['spread'])}{cpu}"


def over_files(what: str, found: dict[str, Any]) -> list[str]:
    """Return the table of one workload: a row for a tool, a column for N."""
    sizes = list(found)
    names = {name: None for count in sizes for name in found[count][what]}  # in order
    rows = [[name, *(time(found[count][what].get(name)) for count in sizes)] for name in names]
    heading = "In sync" if what == "in sync" else what.capitalize()
    return [f"{heading}:", "", *table([f"{what}, N files", *(f"{int(n):,}" for n in sizes)], rows)]


def ratios(found: dict[str, Any]) -> list[str]:
    """Return how many times the minimal loop each takes in sync, by wall-clock and by CPU time."""
    rows = []
    for name in dict.fromkeys(name for count in found for name in found[count]["in sync"]):
        row = [name]
        for one in (found[count]["in sync"] for count in found):
            mine, loop = one.get(name), one[LOOP]
            wall = (
                f"{mine['ms'] / loop['ms']:.2f} ({mine['cpu'] / loop['cpu']:.2f})" if mine else "-"
            )
            row.append(wall)
        rows.append(row)
    head = ["times the minimal loop", *(f"{int(count):,}" for count in found)]
    return ["In sync, as ratios of the same run:", "", *table(head, rows)]


def base(found: Summaries) -> list[str]:
    """Return the table of the base-like profile."""
    bare = found[BARE]
    rows = [
        [name, time(one), f"{one['ms'] / bare['ms']:.1f} ({one['cpu'] / bare['cpu']:.1f})"]
        for name, one in found.items()
    ]
    return ["Base-like, in sync:", "", *table(["", "ms", "times the bare interpreter"], rows)]


def started(found: Summaries) -> list[str]:
    """Return the table of starts."""
    alone = found["tini alone"]["ms"]
    rows = [[name, time(one), f"{one['ms'] - alone:+.0f}"] for name, one in found.items()]
    return ["`run --rm IMAGE true`:", "", *table(["entrypoint", "ms", "added"], rows)]


def installed(found: dict[str, Any]) -> list[str]:
    """Return the table of sizes, Python included where it is needed."""
    sizes = dict(found["sizes"])
    python = sizes.pop("python3")
    sizes = {
        name: size + (python if name in ("salt", "ansible", "pyinfra") else 0)
        for name, size in sizes.items()
        if name not in found["missing"]
    } | {"converge": sum(found["parts"].values())}
    ordered = sorted(sizes.items(), key=lambda item: item[1])
    rows = [[name, f"{size / 1e6:.1f}"] for name, size in ordered]
    return ["Added to debian:bookworm-slim:", "", *table(["", "MB"], rows)]


def markdown(found: dict[str, Any]) -> str:
    """Return all tables."""
    machine = found["machine"]
    lines = [f"{found['date']}, {machine['cores']} cores, Linux {machine['kernel']}", ""]
    lines += [f"* {name}: {text}" for name, text in found["versions"].items()]
    if found["missing"]:
        lines.append(f"* could not be installed: {', '.join(found['missing'])}")
    lines += ["", "Milliseconds: median ± median absolute deviation (CPU time).", ""]
    lines += base(found["base"])
    for what in ("in sync", "first", "drift"):
        lines += over_files(what, found["files"])
    lines += ratios(found["files"]) + started(found["start"]) + installed(found)
    return "\n".join([*lines, *found["resident"]])
