"""Taking in what a source brings: believed or refused, kept, and taken when its roll-out comes here."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from converge.bundle import check, keyring, minisign, packing, rollout
from converge.bundle import memory as memories
from converge.bundle.identity import identity
from converge.bundle.memory import FOLDER, Entry, Memory
from converge.errors import ConvergeError, UsageError

if TYPE_CHECKING:
    from converge.bundle.check import Signed
    from converge.config import Settings
    from converge.sources import Fetched, Source
    from converge.state.directory import StateDirectory

_LONGEST_PAUSE = 6 * 3600.0  # seconds that a source may ask to be left alone


class Intake:
    """Takes bundles in and gives them out again, verified each time."""

    def __init__(self, settings: Settings, state: StateDirectory | None) -> None:
        self.settings = settings
        self.state = state
        self._fetched: dict[str, bytes] = {}
        self._root = None if settings.unsigned else _root(settings)

    def save(self, memory: Memory) -> None:
        """Keep the bundles that are new, then the memory of them; what cannot be kept is not."""
        if self.state is None or self.state.is_read_only:
            return
        for digest, content in self._fetched.items():
            if digest in memory.digests():
                self.state.write(f"{FOLDER}/{digest}", content)
        memories.save(self.state, memory)

    def content(self, entry: Entry) -> bytes | None:
        """Return the bytes of a bundle, if they are here."""
        if entry.digest in self._fetched:
            return self._fetched[entry.digest]
        return self.state.read(f"{FOLDER}/{entry.digest}") if self.state else None

    def check(self, memory: Memory) -> Memory:
        """Return the memory without the bundles that are not here whole and rightly signed."""
        kept: dict[str, Any] = {}
        for place in ("current", "previous", "waiting"):
            entry = getattr(memory, place)
            if entry is not None and not self._holds(memory, entry):
                kept[place] = None
        if not kept:
            return memory
        memory = memory.replace(**kept, tag="")
        if memory.current is None and memory.previous is not None:
            memory = memory.replace(current=memory.previous, previous=None, proven=True)
        return memory

    def _holds(self, memory: Memory, entry: Entry) -> bool:
        content = self.content(entry)
        if content is None or hashlib.sha256(content).hexdigest() != entry.digest:
            return False
        if self._root is None:
            return True
        try:
            ring = keyring.follow(self._root, memory.changes, upto=entry.keys)
            ring.verify(content, entry.signatures)
        except minisign.SignatureError:
            return False
        return True

    def ask(self, source: Source, memory: Memory) -> Memory:
        """Ask the source; what it has and is believed waits to be taken."""
        now = time.time()
        if now < memory.not_before <= now + _LONGEST_PAUSE:  # else the clock has jumped
            return memory
        try:
            fetched = source.fetch(memory.tag)
            if fetched is not None:
                memory = memory.replace(last_tag=fetched.tag)
                memory = self._take_in(memory, fetched, now)
        except ConvergeError as error:
            pause = _pause(error)
            return memory.replace(
                error=str(error), stale_since=memory.stale_since or now,
                not_before=now + pause if pause else 0.0,
            )  # fmt: skip
        return memory.replace(error="", stale_since=0.0, not_before=0.0)

    def _take_in(self, memory: Memory, fetched: Fetched, now: float) -> Memory:
        """Believe a bundle, or raise SignatureError or BundleError."""
        signed = fetched.signed
        digest = hashlib.sha256(signed.content).hexdigest()
        entry = Entry(digest=digest, single=fetched.single)
        seen = memory.seen
        if self._root is not None:
            entry, changes = self._believe(memory, signed, entry, now)
            memory = memory.replace(changes=changes)
            seen = check.Seen(sequence=entry.sequence, digest=digest)
        if digest in memory.refused:
            return memory.replace(tag=fetched.tag, seen=seen, waiting=None, waits="")
        if not fetched.single:
            rollout.parse(packing.unpack(signed.content).rollout)
        self._fetched[digest] = signed.content
        if memory.current and memory.current.digest == digest:
            return memory.replace(tag=fetched.tag, seen=seen, current=entry, waiting=None, waits="")
        return memory.replace(tag=fetched.tag, seen=seen, waiting=entry)

    def _believe(
        self, memory: Memory, signed: Signed, entry: Entry, now: float
    ) -> tuple[Entry, str]:
        assert self._root is not None  # noqa: S101
        kept = keyring.follow(self._root, memory.changes)
        believed = check.verify(signed, kept, memory.name)
        check.fresh(believed.statement, entry.digest, memory.seen, now)
        later = believed.keyring.version > kept.version
        stated = believed.statement
        return entry.replace(
            signatures=signed.signatures, sequence=stated.sequence, expires=stated.expires,
            keys=believed.keyring.version,
        ), signed.keys if later else memory.changes  # fmt: skip

    def advance(self, memory: Memory) -> Memory:
        """Put what waits into force, if its roll-out has come to this container."""
        entry = memory.waiting
        if entry is None:
            return memory
        waits = self._waits(memory, entry) if memory.current else ""
        if waits:
            return memory.replace(waits=waits)
        previous = memory.current if memory.proven else memory.previous
        return memory.replace(
            current=entry, previous=previous, waiting=None, waits="",
            proven=False, tries=0, was_good=None,
        )  # fmt: skip

    def _waits(self, memory: Memory, entry: Entry) -> str:
        content = self.content(entry)
        if entry.single or content is None:
            return ""
        plan = rollout.parse(packing.unpack(content).rollout)
        place = rollout.place(identity(self.settings.root), memory.name)
        return plan.waits(place, self.settings.groups, time.time())


def _pause(error: ConvergeError) -> float:
    """Return for how many seconds the source has asked to be left alone."""
    asked = getattr(error, "retry_after", None)
    return 0.0 if asked is None else min(max(float(asked), 1.0), _LONGEST_PAUSE)


def _root(settings: Settings) -> keyring.Keyring:
    """Return the keys that the settings name: keys themselves, or files. Raises ConvergeError."""
    from converge.files import trust

    if not settings.keys:
        raise UsageError(
            f"{settings.profile}: no keys are set to verify it with",
            "keys: [/etc/converge/web.pub] in agent.yaml; or unsigned: true, to believe whoever answers",
        )
    texts = [
        trust.read(key, 4096)[1].decode(errors="replace") if key.startswith("/") else key
        for key in settings.keys
    ]
    return keyring.ring(map(minisign.public_key, texts), settings.threshold)
