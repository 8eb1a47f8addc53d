"""One run from settings to report: load → compile → lock → recover → engine → report."""

from __future__ import annotations

import os
import sys

from converge import loading
from converge.engine import Run
from converge.errors import ConvergeError
from converge.notifications import Notifications
from converge.record import Record
from converge.reports import metrics
from converge.reports.output import Progress
from converge.reports.report import Stopwatch, make
from converge.state import cache, fingerprints, standing
from converge.system import System
from converge.textdiff import masked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from converge.catalog import Catalog
    from converge.config import Settings
    from converge.inspection import Item
    from converge.loading import Loaded
    from converge.state.directory import StateDirectory
    from converge.state.fingerprints import Fingerprints


class Asked(Record):
    """Why there is a run, and what of the catalog it is about.

    `choose` picks the ids of a partial run, or None for all; `before_reading` is the engine's;
    with `last_good` a profile that is wrong leaves the last catalog that was right in force.
    """

    reason: str = "once"
    phase: str = "start"  # where the settings name none
    choose: Callable[[Catalog], set[str] | None] | None = None
    before_reading: Callable[[Iterable[Item]], None] | None = None
    last_good: bool = False


def dry_run(settings: Settings) -> dict[str, Any]:
    """Return the report of a run that changes nothing and writes nothing, not even a state file."""
    from converge.state import directory as states

    watch = Stopwatch()
    settings = settings.replace(phase=settings.phase or Asked.phase)
    state = states.find(settings.state_dir, settings.root, create=False)
    system = System(settings.root, notes=states.notes_of(state, settings.root))
    system.baked = _baked(settings, state, Asked.phase)
    loaded = loading.load(settings, system, state)
    known = loading.known(settings, state, loaded)
    run = Run(
        loaded.catalog, system, Notifications(None), tags=settings.tags,
        phase=settings.phase or "", fingerprints=known,
    )  # fmt: skip
    run.plan()
    report = make(loaded.catalog, run, watch, dry=True, detailed=True)
    messages = [*map(masked, loaded.messages())]
    return report | {"messages": messages, "bundle": loaded.told(), "error": loaded.error}


def once(settings: Settings, asked: Asked | None = None) -> dict[str, Any]:
    """Converge once and return the report. Raises ConvergeError if nothing could be done."""
    from converge.state import directory as states
    from converge.state import lock

    watch, asked = Stopwatch(), asked or Asked()
    settings = settings.replace(phase=settings.phase or asked.phase)
    state = states.find(
        settings.state_dir, settings.root,
        most_bytes=settings.backup_bytes, most_days=settings.backup_days,
    )  # fmt: skip
    try:
        stores: dict[str, Any] = {}
        if state:
            stores = {"backups": state.backups, "journal": state.journal}
            if settings.phase == "bake":
                from converge.files.no_backups import NoBackups

                stores["backups"] = NoBackups()
        system = System(settings.root, **stores, notes=states.notes_of(state, settings.root))
        system.baked = _baked(settings, state, asked.phase)
        loaded = loading.load(
            settings, system, state,
            last_good=asked.last_good, ask=asked.reason != "event",
        )  # fmt: skip
        folder = lock.runtime_directory(settings.runtime_dir, settings.root)
        folder = folder or (state.path if state else None)
        if folder is None:  # nothing can be written, so two runs could do no harm to each other
            return _locked(settings, system, state, loaded, watch, asked)
        with lock.hold(folder, settings.wait):
            if state is None or not loaded.on_trial:
                return _locked(settings, system, state, loaded, watch, asked)
            from converge import trial

            return trial.run(_locked, settings, system, state, loaded, watch, asked)
    except ConvergeError as error:
        _note_error(settings, state, asked.reason, str(error))
        raise


def _locked(
    settings: Settings,
    system: System,
    state: StateDirectory | None,
    loaded: Loaded,
    watch: Stopwatch,
    asked: Asked,
) -> dict[str, Any]:
    from converge.state import directory as states

    catalog = loaded.catalog
    messages = _recover(system, state)
    if state is not None and loaded.compiled:
        cache.keep(state, loaded.settings, catalog)
    only = asked.choose(catalog) if asked.choose else None
    known = loading.known(settings, state, loaded) if only is None else None
    with Progress(settings) as progress:
        run = Run(
            catalog, system, Notifications(state), tags=settings.tags, only=only,
            allow_deletions=settings.allow_deletions, tick=progress.tick,
            before_change=lambda: _mark(state, run), before_reading=asked.before_reading,
            phase=settings.phase or asked.phase, fingerprints=known,
        )  # fmt: skip
        run.converge()
    report = make(
        catalog, run, watch, dry=False, detailed=settings.detailed_exitcodes,
        reason=asked.reason, partial=run.outcomes if only is not None or settings.tags else (),
    )  # fmt: skip
    messages += states.told_of_place(state, settings.state_dir, settings.root)
    messages += loaded.messages()
    messages = [*map(masked, messages)]
    report |= {"messages": messages, "error": loaded.error, "bundle": loaded.told()}
    if loaded.error:
        report["exit_code"] |= 4
    if settings.phase == "bake":
        _bake(state, system, run, loaded)
    elif state is not None:
        _keep(settings, system, state, report, loaded, known)
    return report


def _baked(
    settings: Settings, state: StateDirectory | None, phase: str
) -> Callable[[], Mapping[str, Sequence[object]]] | None:
    """Return what finds the record of the image's files, for a start; later they are read."""
    if state is None or (settings.phase or phase) != "start":
        return None
    return lambda: state.image_files(settings.root)


def _bake(state: StateDirectory | None, system: System, run: Run, loaded: Loaded) -> None:
    """Leave in the image what makes the first start cheap. Raises ConvergeError."""
    if state is None:
        raise ConvergeError("nothing can be left in the image: no state directory can be written")
    from converge import baking

    baking.keep(state, system, run, loaded.catalog)


def _recover(system: System, state: StateDirectory | None) -> list[str]:
    """Undo and clear what a killed run left: torn in-place writes, staged files."""
    if state is None:
        return []
    state.mend("backups", "backups/objects", "journal")
    messages = [f"{path}: an interrupted write was put back" for path in system.recover()]
    messages += system.journal.pending if system.journal else []
    folders = state.interrupted()
    if folders is not None:
        swept = sum(system.sweep(folder) for folder in folders)
        messages.append(f"the run before was interrupted; {swept} staged files removed")
        state.clear_running()
    return messages


def _mark(state: StateDirectory | None, run: Run) -> None:
    """Note, before the first change, where this run may leave staged files if it is killed."""
    if state is None:
        return
    folders = {
        os.path.dirname(claim.removeprefix("path:"))
        for item in run.inspection.items.values()
        for claim in item.provider.claims(item.spec)
        if claim.startswith("path:")
    }
    state.mark_running(sorted(folders))


def _keep(
    settings: Settings,
    system: System,
    state: StateDirectory,
    report: dict[str, Any],
    loaded: Loaded,
    known: Fingerprints | None,
) -> None:
    """Keep the report, what was noted, and how the container stands now."""
    try:
        before = standing.good(state.read_json(standing.NAME))
        stands = standing.after_run(
            before, report, cache.identity(loaded.catalog), standing.Clock()
        )
        report["contended"] = stands["contended"]
        system.keep_notes()
        if known and known.changed:
            state.write_json(fingerprints.NAME, known.plain(), durable=False)
        state.keep_report(report)
        state.write_json(standing.NAME, stands, durable=False)
        _count(settings, state, report, stands)
        state.clear_running()
        if report["counts"]["changed"]:
            state.backups.prune()
            state.sweep("", "reports", "spool")
    except OSError as error:
        text = masked(f"converge: the report cannot be kept: {error}")
        print(text, file=sys.stderr)  # noqa: T201


def _count(
    settings: Settings, state: StateDirectory, report: dict[str, Any], stands: dict[str, Any]
) -> None:
    """Keep the counters of all runs, and the text that Prometheus reads."""
    counters = metrics.update(state.read_json(metrics.NAME), report)
    state.write_json(metrics.NAME, counters, durable=False)
    text = metrics.text(counters, stands, settings.interval)
    state.write(metrics.TEXT_NAME, text.encode(), durable=False)


def _note_error(settings: Settings, state: StateDirectory | None, reason: str, error: str) -> None:
    """Keep, for health, status and metrics, that a run could not be made."""
    if state is None:
        return
    try:
        before = standing.good(state.read_json(standing.NAME))
        after = standing.after_error(before, masked(error), standing.Clock())
        state.write_json(standing.NAME, after, durable=False)
        _count(settings, state, {"reason": reason, "exit_code": 1}, after)
    except OSError:
        return  # the error itself counts, and is raised
