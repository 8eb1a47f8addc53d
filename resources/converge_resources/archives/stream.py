"""Reading a compressed stream forward, with a cap on what comes out of it and on the memory it takes."""

from __future__ import annotations

import os

from converge.errors import ApplyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Decompressor(Protocol):
        """What bz2 and lzma have; zlib is wrapped to have it."""

        eof: bool
        needs_input: bool
        unused_data: bytes

        def decompress(self, data: bytes, max_length: int) -> bytes:
            """Return at most `max_length` bytes."""
            ...


_CHUNK = 64 << 10
_MOST_AT_ONCE = 64 << 10  # bytes of one read: a header (PAX) that claims more is an attack
_MOST_MEMORY = 128 << 20  # bytes of an xz dictionary; `xz -9` takes 64 MiB
_RATIO = 200  # what comes out, to what goes in; text is seldom over 20
_FREE = 64 << 20  # bytes that may come out whatever went in
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}


class ArchiveError(ApplyError):
    """The archive is broken, or is not extracted as it could do harm."""


class Stream:
    """A file that can be read and sought forward only: what tarfile needs of one.

    Starts at the beginning of the file open at `fd`. Raises ArchiveError for more than the archive
    may hold, and where it breaks off.
    """

    def __init__(self, fd: int, most: int) -> None:
        self._fd = fd
        size = os.fstat(fd).st_size
        os.lseek(fd, 0, os.SEEK_SET)
        self._format = _format(os.pread(fd, 6, 0))
        self._most = min(most, max(_FREE, size * _RATIO)) if self._format else most
        self._decompressor = _decompressor(self._format)
        self._buffer = b""
        self._position = 0
        self._ended = False
        self.last = b""  # what was read last: at the end of a tar file, zeros

    @property
    def compressed(self) -> bool:
        """True where the compression shows that something is missing."""
        return self._decompressor is not None

    def tell(self) -> int:
        """Return how many bytes have come out."""
        return self._position

    def seek(self, position: int) -> int:
        """Go forward, by reading."""
        if position < self._position:
            raise ArchiveError("the archive refers back to what was read: it is broken")
        while self._position < position and self._take(position - self._position):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        """Return that many bytes, fewer only at the end."""
        if not 0 <= size <= _MOST_AT_ONCE:
            raise ArchiveError(f"a header in the archive claims {size} bytes")
        pieces: list[bytes] = []
        while size and (piece := self._take(size)):
            pieces.append(piece)
            size -= len(piece)
        self.last = b"".join(pieces)
        return self.last

    def drain(self) -> None:
        """Read to the end, where checksums are. Raises ArchiveError if it is not there."""
        while self._take(_CHUNK):
            pass
        if self._decompressor is not None and not self._decompressor.eof:
            raise ArchiveError("the archive is truncated")

    def _take(self, size: int) -> bytes:
        if not self._buffer:
            self._fill()
        piece, self._buffer = self._buffer[:size], self._buffer[size:]
        self._position += len(piece)
        if self._position > self._most:
            raise ArchiveError(f"more than {self._most} bytes come out of the archive")
        return piece

    def _fill(self) -> None:
        while not self._buffer and not self._ended:
            if self._decompressor is None:
                self._buffer = os.read(self._fd, _CHUNK)
                self._ended = not self._buffer
            else:
                self._decompress(self._decompressor)

    def _decompress(self, decompressor: Decompressor) -> None:
        data = b""
        if decompressor.eof:  # another member may follow, as `cat a.gz b.gz` makes
            data = decompressor.unused_data or os.read(self._fd, _CHUNK)
            if not data.strip(b"\0"):
                self._ended = True
                return
            decompressor = self._decompressor = _decompressor(self._format) or decompressor
        elif decompressor.needs_input:
            data = os.read(self._fd, _CHUNK)
            self._ended = not data
        try:
            self._buffer = decompressor.decompress(data, _CHUNK)
        except Exception as error:  # each of the three has its own
            raise ArchiveError(f"the archive is broken: {error}") from error


class _Gzip:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        import zlib

        self._zlib = zlib.decompressobj(31)  # 16 + 15: a gzip header, the largest window

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _format(head: bytes) -> str:
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        raise ArchiveError("zstd archives are not read", "pack it with xz or gzip")
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def _decompressor(name: str) -> Any:
    if name == "gzip":
        return _Gzip()
    if name == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    if name == "xz":
        import lzma

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
    return None
