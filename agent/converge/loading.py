"""The catalog of a run: the kept one if it is still right, else compiled now, else the last good one.

A profile that is a URL is what is in force of it (converge.bundle.in_force), asked for first.
"""

from __future__ import annotations

import os

from converge.config import is_remote
from converge.errors import ConvergeError
from converge.record import Record
from converge.state import cache, fingerprints, standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

    from converge.bundle.in_force import InForce
    from converge.catalog import Catalog
    from converge.config import Settings
    from converge.errors import Problem
    from converge.facts import Facts
    from converge.language.profile import Read
    from converge.state.directory import StateDirectory
    from converge.state.fingerprints import Fingerprints
    from converge.system import System

READ_LIMIT = 64 << 20  # bytes of one file of a profile's folder
_PATIENCE = 60.0  # seconds to wait for another run that asks the source


class Loaded(Record):
    """A catalog, whether it was `compiled` now, and what was wrong with the one that it stands for.

    `settings` are those that it is kept under; `found` is the bundle that it was made from.
    """

    catalog: Catalog
    settings: Settings
    compiled: bool = True
    error: str = ""
    found: InForce | None = None

    @property
    def on_trial(self) -> bool:
        """Whether it is of a new bundle, that no run has proven yet."""
        return self.found is not None and not self.found.memory.proven

    def told(self) -> dict[str, Any] | None:
        """Return what reports say of where the profile came from; None: from this machine."""
        return self.found.told() if self.found else None

    def messages(self) -> list[str]:
        """Return what to tell of it: what is not done of what packages declare once, as it is made."""
        notes = told(self.catalog) if self.compiled else []
        unknown = [f"no resource has the tag {tag}" for tag in self._unknown_tags()]
        return [*(self.found.messages() if self.found else ()), *notes, *unknown]

    def _unknown_tags(self) -> list[str]:
        if not self.settings.tags:
            return []  # as in nearly every run, which need not look at all resources for it
        known = {tag for resource in self.catalog.resources for tag in resource.tags}
        return [tag for tag in self.settings.tags if tag not in known]


def told(catalog: Catalog) -> list[str]:
    """Return what is not done of what packages declare (`include: [system:…]`)."""
    return list((catalog.inputs.get("system") or {}).get("notes", ()))


def compiled(
    settings: Settings,
    system: System,
    state: str | None,
    read: Read,
    unmet: list[Problem] | None = None,
) -> Catalog:
    """Return the catalog of the settings' profile. Raises ProfileError, ConvergeError.

    `unmet` takes the assertions that do not hold here, which otherwise are problems.
    """
    from converge.language import profile, protect
    from converge.language.compile import compile_profile

    facts = facts_of(settings, system)
    loaded = profile.load(settings.profile, read)
    own = protect.own_paths(state)
    phase = settings.phase if unmet is None else None
    return compile_profile(loaded, facts, settings.vars, read, own, unmet, phase)


def facts_of(settings: Settings, system: System) -> Facts:
    """Return the facts of this container, none of them found yet."""
    from converge.facts import Facts

    return Facts(system.read_only(), os.environ, settings.facts_dir)


def check(settings: Settings, system: System, read: Read, unmet: list[Problem]) -> Catalog:
    """Return the catalog of a profile that is only checked: files by `read`, a URL asked for news.

    `unmet` takes the assertions that do not hold here: they may where the profile is for.
    """
    if is_remote(settings.profile):
        return _from_afar(settings, system, None, ask=True).catalog
    return compiled(settings, system, None, read, unmet)


def place(settings: Settings, system: System, state: StateDirectory | None) -> tuple[str, Read]:
    """Return the path of the profile, of a URL that of what is in force, and how to read it."""
    if not is_remote(settings.profile):
        return settings.profile, trusted_read
    found = _from_afar(settings, system, state, ask=False).found
    assert found is not None  # noqa: S101  which it is from afar alone
    return found.profile, found.read


def trusted_read(path: str) -> tuple[str, bytes]:
    """Read a file that nobody but root or the agent's own user could change."""
    from converge.files import trust

    return trust.read(path, READ_LIMIT)


def load(
    settings: Settings,
    system: System,
    state: StateDirectory | None,
    *,
    last_good: bool = False,
    ask: bool = True,
) -> Loaded:
    """Return the catalog to run. Raises ConvergeError if there is none.

    With `last_good` a profile that is wrong leaves the last catalog that was right in force; with
    `ask` the source of a profile from afar is asked for news.
    """
    if is_remote(settings.profile):
        return _from_afar(settings, system, state, ask=ask)
    kept = _kept(settings, system, state, trusted_read)
    if kept is not None:
        return Loaded(catalog=kept, settings=settings, compiled=False)
    try:
        fresh = compiled(settings, system, state.path if state else None, trusted_read)
    except ConvergeError as error:
        good = cache.last_good(state, settings) if last_good and state else None
        if good is None:
            raise
        said = f"{error}\nthe last good profile stays in force"
        return Loaded(catalog=good, settings=settings, compiled=False, error=said)
    return Loaded(catalog=fresh, settings=settings)


def _from_afar(
    settings: Settings, system: System, state: StateDirectory | None, *, ask: bool
) -> Loaded:
    """Return the catalog of the bundle in force; one that does not compile is refused."""
    from converge.bundle import in_force

    writes = state is not None and not state.is_read_only
    with asking(state):
        found = in_force.obtain(settings, state, ask=ask)
        try:
            return of_bundle(settings, system, state, found)
        except ConvergeError as error:
            back = in_force.conclude(state if writes else None, found, str(error))
            if back is None:
                raise
            said = f"{error}\nthis bundle is refused; the last good one stays in force"
            return of_bundle(settings, system, state, back).replace(error=said)


def asking(state: StateDirectory | None) -> AbstractContextManager[None]:
    """Hold the lock of what is remembered of the source, unless nothing may be written."""
    from contextlib import nullcontext

    from converge.state import lock

    if state is None or state.is_read_only:
        return nullcontext()
    return lock.hold(os.path.join(state.path, "source"), _PATIENCE)


def of_bundle(
    settings: Settings, system: System, state: StateDirectory | None, found: InForce
) -> Loaded:
    """Return the catalog of a bundle: the kept one, or compiled now. Raises ConvergeError."""
    own = settings.replace(profile=found.folder)
    kept = _kept(own, system, state, found.read)
    if kept is not None:
        return Loaded(catalog=kept, settings=own, compiled=False, found=found)
    whole = settings.replace(profile=found.profile)
    fresh = compiled(whole, system, state.path if state else None, found.read)
    fresh = fresh.replace(inputs={**fresh.inputs, "files": found.inputs, "absent": []})
    return Loaded(catalog=fresh, settings=own, found=found)


def _kept(
    settings: Settings, system: System, state: StateDirectory | None, read: Read
) -> Catalog | None:
    if state is None:
        return None
    kept = cache.load(state, settings, facts_of(settings, system), read)
    baked = state.baked(settings.root) if kept is None else None
    if baked is None or baked is state:
        return kept
    return cache.load(baked, settings, facts_of(settings, system), read)  # in the image, to be read


def known(settings: Settings, state: StateDirectory | None, loaded: Loaded) -> Fingerprints | None:
    """Return what whole runs of this catalog found right, to be known again without reading it."""
    if state is None or settings.tags or settings.phase == "bake":
        return None
    made_of = cache.made_of(state, loaded.settings, loaded.catalog)
    kept = state.read_json(fingerprints.NAME)
    return fingerprints.Fingerprints(kept, made_of, standing.Clock(), full=settings.full)
