"""Archives for tests, made in memory, the hostile ones too."""

from __future__ import annotations

import io
import stat
import tarfile
import warnings
import zipfile
from typing import Any, NamedTuple


class Item(NamedTuple):
    """A member: `type` is a tarfile constant; `target` is of a link."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    type: bytes = tarfile.REGTYPE
    target: str = ""
    size: int | None = None  # what the header claims


def directory(path: str) -> Item:
    return Item(path, mode=0o755, type=tarfile.DIRTYPE)


def link(path: str, target: str) -> Item:
    return Item(path, mode=0o777, type=tarfile.SYMTYPE, target=target)


def hard(path: str, target: str) -> Item:
    return Item(path, type=tarfile.LNKTYPE, target=target)


def tar(*items: Item, mode: str = "w", **options: Any) -> bytes:
    """Return a tar file; `mode` as tarfile.open takes it (`w:gz`)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, **options) as archive:
        for item in items:
            info = tarfile.TarInfo(item.path)
            info.mode, info.type, info.linkname = item.mode, item.type, item.target
            info.size = len(item.content) if item.size is None else item.size
            info.uid = info.gid = 12345
            info.mtime = 1_000_000_000
            archive.addfile(info, io.BytesIO(item.content))
    return file.getvalue()


def zipped(*items: Item) -> bytes:
    """Return a zip file as Info-ZIP makes it, with modes and symbolic links."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in items:
            info = zipfile.ZipInfo(item.path + "/" * (item.type == tarfile.DIRTYPE))
            info.compress_type = zipfile.ZIP_DEFLATED
            kinds = {
                tarfile.REGTYPE: stat.S_IFREG,
                tarfile.DIRTYPE: stat.S_IFDIR,
                tarfile.SYMTYPE: stat.S_IFLNK,
                tarfile.CHRTYPE: stat.S_IFCHR,
            }
            info.external_attr = (kinds[item.type] | item.mode) << 16
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a name that is there twice
                archive.writestr(info, item.target.encode() or item.content)
    return file.getvalue()
