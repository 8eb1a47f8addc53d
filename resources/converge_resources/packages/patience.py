"""Running a package manager: time enough, and patience while someone else holds its lock."""

from __future__ import annotations

import time

from converge.errors import ApplyError, CannotManageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from converge.programs.process import Completed
    from converge.system import ReadOnlySystem, System

TIMEOUT = 30 * 60.0  # seconds; a dpkg that is killed leaves a broken package behind
QUERY_TIMEOUT = 120.0
LOCK_DEADLINE = 120.0  # seconds to wait for someone else's apt, dpkg, apk or dnf
LIST_AGE = 24 * 3600.0  # seconds after which package lists are refreshed before an install
MOST_WORDS = 2000  # characters of a package manager's words that an error repeats


def patiently(
    system: System,
    argv: Sequence[str],
    locked: Collection[str],
    words: Callable[[Completed], str],
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run a program; while its error says that it is `locked`, back off and try again.

    Raises ApplyError with the program's `words`, which name the holder, at the deadline.
    """
    deadline = time.monotonic() + LOCK_DEADLINE
    pause = 0.25
    while True:
        done = system.run(argv, timeout=TIMEOUT, environment=environment)
        if done.code == 0 or not any(word in done.err for word in locked):
            return done
        if time.monotonic() + pause > deadline:
            raise ApplyError(f"waited {LOCK_DEADLINE:g} seconds for a lock: {words(done)}")
        time.sleep(pause)
        pause = min(pause * 2, 5)


def find(system: ReadOnlySystem, program: str) -> str:
    """Return a program's path. Raises CannotManageError."""
    path = system.which(program)
    if path is None:
        raise CannotManageError(f"{program} is not here")
    return path
