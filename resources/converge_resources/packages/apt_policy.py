"""What apt could install: the answer of `apt-cache policy`, one query for all names."""

from __future__ import annotations

from converge.record import Record
from converge_resources.packages import NEWEST, matches
from converge_resources.packages.patience import QUERY_TIMEOUT, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from converge.system import ReadOnlySystem


class Policy(Record):
    """What apt knows of one package. `versions` (newest first) can be fetched or are installed."""

    installed: str | None = None
    candidate: str | None = None
    versions: tuple[str, ...] = ()

    def pick(self, version: str | None) -> str | None:
        """Return the exact version to install for a declared one; None: there is none."""
        if version is None or version == NEWEST:
            return self.candidate
        if self.candidate is not None and matches(version, self.candidate):
            return self.candidate
        return next((known for known in self.versions if matches(version, known)), None)


def policies(
    system: ReadOnlySystem, names: Collection[str], release: str | None = None
) -> dict[str, Policy]:
    """Return what apt knows of these names, and of no others.

    apt takes an unknown `nano-` for nano, and `lib.x` for a pattern (apt-get(8)): only an answer
    under the very name that was asked for counts.
    """
    if not names:
        return {}
    argv = [find(system, "apt-cache"), *(["-t", release] if release else []), "policy", "--"]
    done = system.query([*argv, *sorted(names)], timeout=QUERY_TIMEOUT).check()
    answers = parse(done.out)
    found = {}
    for name in names:
        policy = answers.get(name) or answers.get(name.partition(":")[0])
        if policy is not None:
            found[name] = policy
    return found


def parse(text: str) -> dict[str, Policy]:
    """Read the answer of apt-cache policy; a name that is not known is not in it."""
    found: dict[str, Policy] = {}
    name = ""
    values: dict[str, str | None] = {}
    versions: list[str] = []
    for line in text.splitlines():
        if line[:1].strip() and line.endswith(":"):
            name, values, versions = line[:-1], {}, []
        elif line.startswith(("  Installed: ", "  Candidate: ")):
            word, _, value = line.strip().partition(": ")
            values[word.lower()] = None if value == "(none)" else value
        elif line.startswith((" *** ", "     ")) and not line.startswith("        "):
            versions.append(line.removeprefix(" *** ").split()[0])
        found[name] = Policy(**values, versions=tuple(versions))
    found.pop("", None)
    return found
