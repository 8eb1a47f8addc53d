"""python -I -m converge, and the console script."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


# A run makes many and frees most: to look for circles before costs a tenth of it.
_OBJECTS = 200_000


def main() -> NoReturn:
    """Run the command line, isolated from PYTHON* variables, the user's site and the directory."""
    if not sys.flags.isolated:
        argv = [sys.executable, "-I", __file__, *sys.argv[1:]]
        os.execv(sys.executable, argv)  # noqa: S606  the same program, isolated
    if sys.argv[1:2] == ["exec"]:
        from converge.entrypoint import main as become

        sys.exit(become(sys.argv[2:]))
    gc.set_threshold(_OBJECTS)
    from converge.cli import main as run
    from converge.stopping import leave

    leave(run())


if __name__ == "__main__":
    main()
