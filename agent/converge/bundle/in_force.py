"""Which version of a profile from afar is in force: the newest that is believed, else the last good.

A run asks the source, believes nothing that does not verify, takes a new bundle when its roll-out
has come to this container, and goes back to the last good one if the run with the new one fails.
While the source is away, what is in force stays so, for ever, and is verified at each load.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from converge import sources
from converge.bundle import memory as memories
from converge.bundle import packing
from converge.bundle.intake import Intake
from converge.bundle.memory import FOLDER, Entry, Memory
from converge.errors import ConvergeError, MissingError

if TYPE_CHECKING:
    from converge.config import Settings
    from converge.state.directory import StateDirectory

SINGLE = "profile.yaml"  # the name of a profile that comes alone
_MOST_TRIES = 3  # runs of a new bundle that may begin and not end


class InForce:
    """A bundle to run: `profile` is the path to load by `read`, `inputs` what its catalog depends on.

    Its files have paths below `folder`, where nothing lies: they are read from memory.
    """

    def __init__(self, folder: str, memory: Memory, entry: Entry, content: bytes) -> None:
        self.memory = memory
        self.folder = folder
        self._content = content
        self._single = entry.single
        self._bundle: packing.Bundle | None = None
        self.inputs = {folder: entry.digest}

    @property
    def profile(self) -> str:
        """The path of the profile."""
        name = SINGLE if self._single else self._unpacked().profile
        return f"{self.folder}/{name}"

    def read(self, path: str) -> tuple[str, bytes]:
        """Return (path, content) of a file of the bundle, or of all of it. Raises MissingError."""
        if path == self.folder:
            return path, self._content
        found = self._unpacked().files.get(path.removeprefix(self.folder + "/"))
        if found is None or not path.startswith(self.folder + "/"):
            raise MissingError(f"there is no {path} in the bundle")
        return path, found

    def _unpacked(self) -> packing.Bundle:
        if self._bundle is None:
            self._bundle = (
                packing.Bundle(files={SINGLE: self._content}, meta={"profile": SINGLE})
                if self._single
                else packing.unpack(self._content)
            )
        return self._bundle

    def messages(self) -> list[str]:
        """Return what people shall know of it besides: news that were not believed or wait."""
        memory = self.memory
        found = []
        if memory.error:
            found.append(f"the profile's source: {memory.error}; what is in force stays so")
        if memory.waits:
            found.append(f"a new bundle waits: {memory.waits}")
        return found

    def told(self) -> dict[str, Any]:
        """Return what reports and status say of it."""
        memory, current = self.memory, self.memory.current
        return {
            "url": memory.url,
            "name": memory.name,
            "digest": current.digest if current else "",
            "sequence": current.sequence if current else 0,
            "expires": current.expires if current else 0,
            "proven": memory.proven,
            "waiting": memory.waits,
            "stale_since": memory.stale_since or None,
            "error": memory.error,
            "refused": dict(memory.refused),
        }


def obtain(settings: Settings, state: StateDirectory | None, *, ask: bool = True) -> InForce:
    """Return what is in force for the settings' profile, a URL; with `ask` the source is asked first.

    Raises ConvergeError if nothing can be: the source has nothing to believe, nor is there anything
    here from before. Called under a lock of the source's own.
    """
    source = sources.load(settings.profile)(settings.profile, settings)
    name = settings.bundle_name or source.name
    kept = memories.load(state, name, settings.profile)
    intake = Intake(settings, state)
    memory = intake.check(kept)
    if ask or memory.current is None:
        memory = intake.ask(source, memory)
    memory = intake.advance(memory)
    if memory != kept:
        memory = _saved(intake, kept, memory)
    if memory.current is None:
        raise ConvergeError(
            f"{settings.profile}: {memory.error or memory.waits or 'there is nothing'}",
            "there is no last good profile here either",
        )
    content = intake.content(memory.current)
    assert content is not None  # noqa: S101  `check` has seen it
    return InForce(_folder(state, memory.current), memory, memory.current, content)


def begin(state: StateDirectory, found: InForce, *, was_good: bool) -> InForce | None:
    """Count a run of a new bundle; after three that never ended return the one before it.

    What crashes the container, or the agent, ends no run. `was_good` tells whether nothing is amiss
    now: else the new bundle need not be what fails. Called under the source's lock.
    """
    kept = _on_trial(state, found)
    if kept is None:
        return None
    memory = kept.replace(was_good=was_good) if kept.was_good is None else kept
    if memory.previous and memory.was_good:
        if memory.tries >= _MOST_TRIES:
            return _back(state, memory, f"{memory.tries} runs with it began, and none ended")
        memory = memory.replace(tries=memory.tries + 1)
    if memory != kept:
        _save(state, memory)
    return None


def conclude(state: StateDirectory | None, found: InForce, trouble: str | None) -> InForce | None:
    """Take in how a run with `found` ended: empty `trouble` proves it, None says nothing of it.

    A bundle whose first run fails, where the one before ran well, is refused for good; what comes
    back is what is to be run instead. Called under the source's lock.
    """
    memory = _on_trial(state, found)
    if memory is None:
        return None
    if trouble:
        back = _back(state, memory, trouble)
        if back:
            return back
    tries = max(0, memory.tries - 1) if trouble is None else 0
    after = memory.replace(proven=trouble == "", tries=tries)
    if after != memory:
        _save(state, after)
    return None


def _on_trial(state: StateDirectory | None, found: InForce) -> Memory | None:
    """Return what is remembered now, None if no verdict on `found` is due.

    Another run may have taken a newer bundle since, which this one says nothing of.
    """
    if found.memory.proven or found.memory.current is None:
        return None
    memory = memories.load(state, found.memory.name, found.memory.url) if state else found.memory
    return None if memory.proven or memory.current != found.memory.current else memory


def _back(state: StateDirectory | None, memory: Memory, trouble: str) -> InForce | None:
    """Refuse what is in force and return the bundle before it; None if it was no better.

    What does not even compile is not begun.
    """
    back, bad = memory.previous, memory.current
    if memory.was_good is False:
        return None
    content = state.read(f"{FOLDER}/{back.digest}") if state and back else None
    if back is None or bad is None or content is None:
        return None
    memory = memory.refusing(bad.digest, trouble)
    memory = memory.replace(current=back, previous=None, proven=True, tries=0, was_good=None)
    _save(state, memory)
    return InForce(_folder(state, back), memory, back, content)


def _saved(intake: Intake, kept: Memory, memory: Memory) -> Memory:
    """Return what could be saved: where the disk is full, what was known before stays in force."""
    try:
        intake.save(memory)
        return memory
    except OSError as error:
        why = f"the state directory cannot be written: {error.strerror}"
        why = f"{memory.error}; {why}" if memory.error else why
        return intake.check(kept).replace(error=why, stale_since=kept.stale_since or time.time())


def _save(state: StateDirectory | None, memory: Memory) -> None:
    """Save it; a full disk ends no run, which says so itself."""
    try:
        memories.save(state, memory)
    except OSError:
        return


def _folder(state: StateDirectory | None, entry: Entry) -> str:
    return f"{state.path if state else '/run/converge'}/{FOLDER}/{entry.digest}"
