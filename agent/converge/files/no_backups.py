"""Backups that are none: while an image is built, the layers below hold what was there."""

from __future__ import annotations

from converge.files.backup import Backups, Kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class NoBackups(Backups):
    """Keeps nothing, and lets every change go on."""

    def __init__(self) -> None:
        super().__init__("")

    def begin(self, path: str, fd: int) -> Kept:
        """Copy nothing."""
        return Kept(path=path, digest="", staged="", entry={})

    def finish(self, kept: Sequence[Kept]) -> None:
        """Make nothing durable."""

    def discard(self, kept: Kept) -> None:
        """Give up nothing."""

    def sweep(self) -> None:
        """Remove nothing."""
