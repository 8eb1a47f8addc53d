"""What `converge bake` leaves in the image beside what it converged.

The compiled catalog, which the first start finds good where it was made from the same things, and a
record of the files that were converged: one that looks as it did then is not read to know its digest.
"""

from __future__ import annotations

import time

from converge import __version__, outcome
from converge.reports import metrics
from converge.state import cache, standing
from converge.state.image import NAME, VERSION, paths_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from converge.catalog import Catalog
    from converge.engine import Run
    from converge.state.directory import StateDirectory
    from converge.system import System

_OF_RUNS = (standing.NAME, metrics.NAME, metrics.TEXT_NAME, "report.json")


def keep(state: StateDirectory, system: System, run: Run, catalog: Catalog) -> None:
    """Leave the record; the reports and counters of a build are not the container's. Raises OSError."""
    files = _files(run, system, catalog.secrets)
    _let_the_second_pass(files)
    system.keep_notes()
    record = {
        "version": VERSION, "agent": __version__, "baked": int(time.time()),
        "catalog": cache.identity(catalog), "files": files,
    }  # fmt: skip
    for name in _OF_RUNS:
        state.remove(name)
    for name in state.reports():
        state.remove(f"reports/{name}.json")
    state.write_json(NAME, record)
    state.clear_running()


def _files(run: Run, system: System, secret: Collection[str]) -> dict[str, list[Any]]:
    """Return the regular files that are right, but those that hold secrets: a digest tells of one."""
    found = {}
    reader = system.read_only()
    right = (outcome.IN_SYNC, outcome.CHANGED)
    for name, item in run.inspection.items.items():
        if run.outcomes[name].result not in right or item.resource.kind != "file":
            continue
        if name in secret:
            continue
        for path in paths_of(item):
            told, digest = reader.fingerprint(path), reader.digest(path)
            if told and digest and told[1] <= time.time():  # one of the future cannot be waited for
                found[path] = [*told, digest]
    return found


def _let_the_second_pass(files: dict[str, list[Any]]) -> None:
    """Wait until no later change can have the time of these: images keep whole seconds.

    What git calls racy (Documentation/technical/racy-git.txt).
    """
    newest = max((entry[1] for entry in files.values()), default=0)
    while newest >= int(time.time()):
        time.sleep(0.05)
