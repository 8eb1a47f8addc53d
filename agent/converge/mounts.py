"""What is mounted where, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

from converge.record import Record


class Mount(Record):
    """One mount: where, of what type, and whether it can be written."""

    path: str
    type: str
    source: str
    read_only: bool
    deleted: bool = False  # the file behind a bind mount was replaced at its source
    root: str = "/"  # which directory or file of its file system is mounted
    options: tuple[str, ...] = ()  # of the mount, then of its file system


def parse(text: str) -> dict[str, Mount]:
    """Return the mounts by mount point; of several on one point the last, which is on top."""
    found = {}
    for line in text.split("\n"):  # not splitlines: a mount point may hold \f or U+2028
        fields = line.split(" ")
        try:
            dash = fields.index("-", 6)
            path = unescape(fields[4])
            options = (*fields[5].split(","), *fields[dash + 3].split(","))
            found[path] = Mount(
                path=path,
                type=fields[dash + 1],
                source=unescape(fields[dash + 2]),
                read_only="ro" in options,
                deleted=fields[3].endswith("//deleted"),
                root=unescape(fields[3]),
                options=options,
            )
        except (ValueError, IndexError):
            continue  # a line of a future format says nothing to us
    return found


def unescape(text: str) -> str:
    r"""Undo the octal escapes of mountinfo: `\040` is a space."""
    if "\\" not in text:
        return text
    head, *rest = text.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)


def covering(mounts: dict[str, Mount], path: str) -> Mount | None:
    """Return the mount that a path lies on."""
    while path not in mounts:
        if path in ("/", ""):
            return None
        path = path.rpartition("/")[0] or "/"
    return mounts[path]
