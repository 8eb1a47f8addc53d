"""Which files of a `.d` directory count: by name, /etc before /run before /usr (tmpfiles.d(5))."""

from __future__ import annotations

from converge.errors import ConvergeError
from converge.files import trust
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.read_only import ReadOnlySystem
    from converge.systemd.found import Found

_PLACES = ("/etc", "/run", "/usr/local/lib", "/usr/lib")
_MOST = 1 << 20  # bytes of one file


class Line(Record):
    """One line that says something, and where it stands."""

    file: str
    number: int
    text: str


def lines(folder: str, system: ReadOnlySystem, found: Found) -> Iterator[Line]:
    """Yield the lines of all files of `FOLDER.d`, file by file in the order of their names.

    A file that is empty, or a link to /dev/null, takes the place of one of its name elsewhere. What
    somebody else could have written is not read, which is noted.
    """
    chosen: dict[str, str] = {}
    for place in _PLACES:
        for name in system.list(f"{place}/{folder}.d"):
            if name.endswith(".conf"):
                chosen.setdefault(name, f"{place}/{folder}.d/{name}")
    for _, path in sorted(chosen.items()):
        if system.readlink(path) == "/dev/null":
            continue
        try:
            _, data = trust.read(system.real(path), _MOST)
            text = data.decode()
        except (ConvergeError, UnicodeDecodeError, OSError) as error:
            said = str(error).removeprefix(f"{system.real(path)}: ")
            found.note(Line(file=path, number=0, text=""), f"it is left out: {said}")
            continue
        found.paths.append(path)
        for number, line in enumerate(text.split("\n"), 1):
            plain = line.strip()
            if plain and not plain.startswith(("#", ";")):
                yield Line(file=path, number=number, text=plain)
