#!/opt/converge/bin/python -IB
"""Converge once, then become the container's command.

A start that does not converge is stopped with the exit code of `converge --once`, unless
CONVERGE_ON_FAILURE=continue. A command that cannot be run gives 126 or 127, as sh does.
"""

import os
import sys

CONVERGE = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), "converge")


def converge() -> int:
    """Run `converge --once`: nothing to read, and what it prints goes to stderr."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, 2, 1),
    ]
    child = os.posix_spawn(CONVERGE, [CONVERGE, "--once"], os.environ, file_actions=actions)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def become(command: list[str]) -> None:
    """Replace this process by the command; exit if that is impossible."""
    try:
        os.execvp(command[0], command)  # noqa: S606  an argv list, no shell
    except OSError as error:
        sys.stderr.write(f"converge: {command[0]}: {error.strerror}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    code = converge()
    if code and os.environ.get("CONVERGE_ON_FAILURE") != "continue":
        sys.stderr.write(f"converge: not converged (exit {code}), so the command is not run\n")
        sys.exit(code)
    become(sys.argv[1:] or ["/bin/true"])
