"""The members of a tar or zip file, one form for both. Nothing is believed or written here."""

from __future__ import annotations

import os
import stat
from contextlib import closing, contextmanager

from converge.record import Record
from converge_resources.archives.stream import ArchiveError, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    import zipfile
    from collections.abc import Callable, Generator, Iterator
    from typing import IO, Any

FILE, DIRECTORY, SYMLINK, HARD_LINK, OTHER = "file", "directory", "symlink", "hard link", "other"
_ZIP = (b"PK\3\4", b"PK\5\6")
_END = b"PK\5\6"  # the end of the central directory, 22 bytes and a comment (APPNOTE 4.3.16)
_MOST_COMMENT = 65557
_MOST_TARGET = 4096  # bytes of what a symbolic link says
_SAYS_UTF8, _UNIX = 1 << 11, 3  # flag and "made by" of a zip file's member (APPNOTE 4.4)
_PER_ENTRY = 1024  # bytes of a central directory's entry that is still no attack


class Member(Record):
    """One member as the archive has it. `target`: of a link. `read` opens the content of a file."""

    path: str
    type: str
    size: int = 0
    mode: int = 0o644
    target: str = ""
    read: Callable[[], IO[bytes]] | None = None


@contextmanager
def members(fd: int, *, most_bytes: int, most_files: int) -> Iterator[Iterator[Member]]:
    """Lend the members of the archive that is open at `fd`, in its order, each to be read in its turn.

    Raises ArchiveError, also from the iterator: for what is broken, or gives more than it may.
    """
    import tarfile
    import zipfile
    import zlib

    broken = (
        tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError,
        RuntimeError, ValueError, UnicodeError,
    )  # fmt: skip
    zipped = os.pread(fd, 4, 0) in _ZIP
    try:
        with closing(_zip(fd, most_files) if zipped else _tar(fd, most_bytes)) as found:
            yield found
    except broken as error:
        raise ArchiveError(f"the archive is broken: {error}") from error


def _tar(fd: int, most_bytes: int) -> Generator[Member]:
    import tarfile

    room = most_bytes + (most_bytes >> 3) + (1 << 20)  # headers and padding
    stream: Any = Stream(fd, room)
    with tarfile.TarFile(fileobj=stream, mode="r") as archive:
        while (info := archive.next()) is not None:
            yield _tar_member(archive, info)
    if stream.last.strip(b"\0") or not (stream.last or stream.compressed):
        raise ArchiveError("the archive breaks off, or is damaged in the middle")
    stream.drain()


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kinds = {"isreg": FILE, "isdir": DIRECTORY, "issym": SYMLINK, "islnk": HARD_LINK}
    type_ = next((kind for test, kind in kinds.items() if getattr(info, test)()), OTHER)

    def read() -> IO[bytes]:
        content = archive.extractfile(info)
        if content is None:
            raise ArchiveError(f"{info.name!r} has no content")
        return content

    path = info.pax_headers.get("GNU.sparse.name", info.name)  # a long one's `path` is a stand-in
    return Member(
        path=path, type=type_, size=info.size if type_ == FILE else 0, mode=info.mode,
        target=info.linkname, read=read if type_ == FILE else None,
    )  # fmt: skip


def _zip(fd: int, most_files: int) -> Generator[Member]:
    import zipfile

    _check_directory(fd, most_files)
    with os.fdopen(os.dup(fd), "rb") as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            yield _zip_member(archive, info)


def _check_directory(fd: int, most_files: int) -> None:
    """Refuse a central directory that is too large: zipfile takes all of it into memory."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, _MOST_COMMENT, max(size - _MOST_COMMENT, 0))
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        raise ArchiveError("the archive is truncated")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    if length > most_files * _PER_ENTRY:
        raise ArchiveError(f"the archive holds more than {most_files} files, or zip64 tables")


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    if info.flag_bits & 1:
        raise ArchiveError(f"{info.filename!r} is encrypted")
    if "\0" in info.orig_filename or "\\" in info.orig_filename:
        raise ArchiveError(f"{info.orig_filename!r} is not a name for this system")
    bits, path = info.external_attr >> 16, _zip_path(info)
    kind = stat.S_IFMT(bits)
    if info.is_dir():
        return Member(path=path, type=DIRECTORY)
    if kind == stat.S_IFLNK:
        if info.file_size > _MOST_TARGET:
            raise ArchiveError(f"{path!r} is a link to {info.file_size} bytes")
        target = archive.read(info).decode(errors="surrogateescape")
        return Member(path=path, type=SYMLINK, target=target)
    if kind not in (0, stat.S_IFREG):
        return Member(path=path, type=OTHER)
    return Member(
        path=path, type=FILE, size=info.file_size,
        mode=stat.S_IMODE(bits) or 0o644, read=lambda: archive.open(info),
    )  # fmt: skip


def _zip_path(info: zipfile.ZipInfo) -> str:
    """Return a member's path: made on Unix it is UTF-8, though zip does not always say so."""
    if info.flag_bits & _SAYS_UTF8 or info.create_system != _UNIX:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename
