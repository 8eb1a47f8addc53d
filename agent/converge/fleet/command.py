"""The command line of `converge fleet`."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from converge import config
from converge.errors import UsageError
from converge.fleet import members, reading
from converge.reports import output_file
from converge.usage import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_MOST_SHOWN = 40
_EPILOG = (
    "exit codes: 0 all converged, drifting or waiting; 1 nothing could be read; 4 some are not"
)


def main(words: Sequence[str]) -> int:
    """Show a fleet; exit code 4 if some container failed, is stale or contended."""
    options = parser().parse_args(words)
    settings = config.load({"color": options.color}, os.environ)
    now = time.time()
    found = reading.read(options.source, settings)
    if not (found or options.json or options.html):
        raise UsageError(f"no container has reported to {options.source}", "see `report_to`")
    if options.html:
        from converge.fleet.page import page

        output_file.put(options.html, page(found, now).encode())
    if options.json:
        told = [members.plain(member, now) for member in members.ordered(found, now)]
        plain = {"version": 1, "counts": members.count(found, now), "containers": told}
        print(json.dumps(plain, indent=2))  # noqa: T201
    elif not options.html:
        from converge.fleet import table

        most = len(found) if options.all else _MOST_SHOWN
        table.show(found, now, most, color=settings.color)
    counts = members.count(found, now)
    if not found:
        return 1  # of nobody one cannot say that all is well
    return 4 if any(counts[name] for name in ("failed", "stale", "contended")) else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of `converge fleet`."""
    top = Parser(
        prog="converge fleet", epilog=_EPILOG,
        description="Show who is converged, stale, failed or drifting.",
    )  # fmt: skip
    add = top.add_argument
    add("source", metavar="SOURCE", help="a directory of reports, or the URL of a Prometheus")
    add("--html", metavar="FILE", help="write one page instead, which needs nothing else")
    add("--json", action="store_true", help="print it as JSON")
    add("--all", action="store_true", help=f"show more than the first {_MOST_SHOWN}")
    add("--color", choices=("auto", "always", "never"), help="colours (auto)")
    return top
