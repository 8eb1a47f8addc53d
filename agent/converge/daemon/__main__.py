"""Started by converge.resident as `python -ISB …/daemon/__main__.py FD`: without `site`.

FD holds the options (converge.daemon.options). Exit codes: 0 asked to stop, 1 could not begin.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Be the supervisor."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from converge.daemon.loop import Daemon
    from converge.daemon.options import Options
    from converge.daemon.place import AlreadyError
    from converge.daemon.say import say

    fd = int(sys.argv[1])
    with open(fd, "rb") as file:
        options = Options(file.read())
    try:
        daemon = Daemon(options)
    except AlreadyError as error:
        say("error", f"another agent is resident here: it holds {error}", options.log_format)
        return 1
    except OSError as error:
        say("error", f"the agent cannot start: {error}", options.log_format)
        return 1
    daemon.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
