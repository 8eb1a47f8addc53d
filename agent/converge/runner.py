"""One run from settings to report: load → compile → lock → recover → engine → report."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from converge.engine import Run
from converge.notifications import Notifications
from converge.output import Progress
from converge.report import Stopwatch, make
from converge.system import System

if TYPE_CHECKING:
    from converge.catalog import Catalog
    from converge.config import Settings
    from converge.profile import Read
    from converge.state import StateDirectory

READ_LIMIT = 64 << 20  # bytes of one file of a profile's folder


def compiled(settings: Settings, system: System, state: str | None, read: Read) -> Catalog:
    """Return the catalog of the settings' profile. Raises ProfileError, ConvergeError."""
    from converge import profile, protect
    from converge.compile import compile_profile
    from converge.facts import Facts

    facts = Facts(system.read_only())
    loaded = profile.load(settings.profile, read)
    return compile_profile(loaded, facts, settings.vars, read, protect.own_paths(state))


def trusted_read(path: str) -> tuple[str, bytes]:
    """Read a file that nobody but root or the agent's own user could change."""
    from converge import trust

    return trust.read(path, READ_LIMIT)


def dry_run(settings: Settings) -> dict[str, Any]:
    """Return the report of a run that changes nothing and writes nothing, not even a state file."""
    from converge import state as states

    watch = Stopwatch()
    state = states.find(settings.state_dir, settings.root, create=False)
    system = System(settings.root)
    catalog = compiled(settings, system, state.path if state else None, trusted_read)
    run = Run(catalog, system, Notifications(None), tags=settings.tags)
    run.plan()
    return make(catalog, run, watch, dry=True, detailed=True)


def once(settings: Settings) -> dict[str, Any]:
    """Converge once and return the report. Raises ConvergeError if nothing could be done."""
    from converge import lock
    from converge import state as states

    watch = Stopwatch()
    state = states.find(
        settings.state_dir, settings.root,
        most_bytes=settings.backup_bytes, most_days=settings.backup_days,
    )  # fmt: skip
    stores: dict[str, Any] = {}
    if state:
        stores = {"backups": state.backups, "journal": state.journal}
    system = System(settings.root, **stores)
    catalog = compiled(settings, system, state.path if state else None, trusted_read)
    folder = lock.runtime_directory(settings.runtime_dir, settings.root)
    folder = folder or (state.path if state else None)
    if folder is None:  # nothing at all can be written, so two runs could do no harm to each other
        return _locked(settings, system, state, catalog, watch)
    with lock.hold(folder, settings.wait):
        return _locked(settings, system, state, catalog, watch)


def _locked(
    settings: Settings,
    system: System,
    state: StateDirectory | None,
    catalog: Catalog,
    watch: Stopwatch,
) -> dict[str, Any]:
    messages = _recover(system, state)
    notifications = Notifications(state)
    with Progress(settings) as progress:
        run = Run(
            catalog, system, notifications, tags=settings.tags,
            allow_deletions=settings.allow_deletions, tick=progress.tick,
            before_change=lambda: _mark(state, run),
        )  # fmt: skip
        run.converge()
    report = make(catalog, run, watch, dry=False, detailed=settings.detailed_exitcodes)
    if state is None:
        messages.append("runs without state: no state directory can be written")
    report["messages"] = messages
    _keep(state, report)
    return report


def _recover(system: System, state: StateDirectory | None) -> list[str]:
    """Undo and clear what a killed run left: torn in-place writes, staged files."""
    if state is None:
        return []
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


def _keep(state: StateDirectory | None, report: dict[str, Any]) -> None:
    if state is None:
        return
    try:
        state.keep_report(report)
        state.clear_running()
        if report["counts"]["changed"]:
            state.backups.prune()
    except OSError as error:
        print(f"converge: the report cannot be kept: {error}", file=sys.stderr)  # noqa: T201
