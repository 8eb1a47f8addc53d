"""A profile's folder ⇄ one `.tar.gz`: the same folder gives the same bytes; nothing is unpacked.

A bundle is read into memory, within limits, so that nothing of it ever lands on the disk under a
name that it chose: path traversal, links and devices have nowhere to go.
"""

from __future__ import annotations

import io
import json
import os
from typing import IO, TYPE_CHECKING, Any

from converge.errors import ConvergeError, UsageError
from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_BYTES = 8 << 20  # of a bundle as it is fetched
MOST_UNPACKED = 64 << 20
MOST_FILES = 2000
_MOST_RATIO = 200  # gzip's own limit is about 1000
META = "bundle.json"  # at its top


class BundleError(ConvergeError):
    """This is no bundle, or one that is not taken."""


class Bundle(Record):
    """The files of a bundle, by their paths below its top, and what it says of itself."""

    files: Mapping[str, bytes]
    meta: Mapping[str, Any]

    @property
    def profile(self) -> str:
        """The path of the profile in it."""
        return str(self.meta.get("profile", "profile.yaml"))

    @property
    def rollout(self) -> Mapping[str, Any]:
        """Whom it is for, and when (converge.bundle.rollout)."""
        found = self.meta.get("rollout", {})
        return found if isinstance(found, dict) else {}


def pack(folder: str, meta: Mapping[str, Any]) -> bytes:
    """Return a bundle of all regular files below a folder. Raises UsageError for anything else."""
    import gzip
    import tarfile

    if not os.path.isdir(folder):
        raise UsageError(f"there is no directory {folder}", "name the one that has profile.yaml")
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _put(
            tar, META, json.dumps({"version": 1, **meta}, sort_keys=True, indent=1).encode() + b"\n"
        )
        for path, name in sorted(_files(folder), key=lambda found: found[1]):
            try:
                with open(path, "rb") as file:
                    _put(tar, name, file.read())
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}") from error
    packed = gzip.compress(raw.getvalue(), 9, mtime=0)
    unpack(packed)  # what is refused later is refused now
    return packed


def _put(tar: Any, name: str, data: bytes) -> None:
    import tarfile

    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


def _files(folder: str) -> Iterator[tuple[str, str]]:
    """Yield (path, name below the folder); hidden files (`.git`, `..data`) are left out."""
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = os.path.join(where, name)
            below = os.path.relpath(path, folder)
            if name.startswith(".") or below == META:
                continue
            if os.path.islink(path) or not os.path.isfile(path):
                raise UsageError(f"{path} is not a regular file", "a bundle has nothing else")
            yield path, below


def unpack(data: bytes) -> Bundle:
    """Return the files of a bundle, in memory. Raises BundleError for all that is not one."""
    import tarfile
    import zlib

    if len(data) > MOST_BYTES:
        raise BundleError(f"the bundle is larger than {MOST_BYTES} bytes")
    try:
        raw = _inflate(data)
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
            files = _members(tar)
    except (tarfile.TarError, zlib.error, EOFError, ValueError, UnicodeError, OSError) as error:
        raise BundleError(f"this is no bundle (.tar.gz): {error}") from error
    bundle = Bundle(files=files, meta=_meta(files))
    if bundle.profile not in files:
        raise BundleError(f"there is no {bundle.profile} in the bundle")
    return bundle


def _inflate(data: bytes) -> bytes:
    """Return what gzip holds, never more than the limits."""
    import zlib

    most = min(MOST_UNPACKED, max(len(data) * _MOST_RATIO, 1 << 20))
    inflater = zlib.decompressobj(wbits=31)
    raw = inflater.decompress(data, most + 1)
    if len(raw) > most:
        raise BundleError(f"the bundle unpacks to more than {most} bytes")
    if not inflater.eof or inflater.unused_data:
        raise BundleError("the bundle is cut off, or something follows it")
    return raw


def _members(tar: Any) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for count, member in enumerate(tar):
        if count >= MOST_FILES:
            raise BundleError(f"more than {MOST_FILES} files in the bundle")
        name = member.name.removeprefix("./")
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            raise BundleError(f"{name[:100]!r} in the bundle is not a regular file")
        parts = name.split("/")
        if not name or name.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise BundleError(f"{name[:100]!r} in the bundle is not below its top")
        if name in files:
            raise BundleError(f"{name[:100]!r} is in the bundle twice")
        content: IO[bytes] = tar.extractfile(member)
        files[name] = content.read()
        if len(files[name]) != member.size:
            raise BundleError(f"{name[:100]!r} in the bundle is cut off")
    return files


def _meta(files: Mapping[str, bytes]) -> dict[str, Any]:
    if META not in files:
        return {}
    try:
        meta = json.loads(files[META])
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict) or meta.get("version") != 1:
        raise BundleError(f"{META} in the bundle is not of version 1")
    if not isinstance(meta.get("profile", ""), str):
        raise BundleError(f"`profile` in {META} is not the path of a file")
    return meta
