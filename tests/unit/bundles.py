"""Keys, bundles and statements for tests of what comes from afar."""

from __future__ import annotations

from pathlib import Path

from converge.bundle import minisign, packing
from converge.bundle.check import Signed
from converge.bundle.statement import Statement

NOW = 1_800_000_000.0
LATER = 1_900_000_000


def folder(path: Path, text: str = "resources: []\n") -> Path:
    """Make a profile's folder."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "profile.yaml").write_text(text)
    return path


def packed(path: Path, text: str = "resources: []\n") -> bytes:
    """Return a bundle."""
    return packing.pack(str(folder(path, text)), {})


def stated(name: str = "web", sequence: int = 7, expires: int = LATER) -> Statement:
    """Return a statement, good but for what is given."""
    return Statement(name=name, sequence=sequence, expires=expires)


def signed(
    content: bytes, *keys: minisign.SecretKey, statement: Statement | None = None, changes: str = ""
) -> Signed:
    """Return a bundle signed by these keys."""
    comment = str(statement or stated())
    signatures = "".join(minisign.sign(key, content, comment) for key in keys)
    return Signed(content=content, signatures=signatures, keys=changes)
