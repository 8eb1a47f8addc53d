"""Asking the resident agent, over its control socket."""

from __future__ import annotations

import _socket  # socket.py costs 3 ms of every health check
import os

from converge.errors import ConvergeError, UsageError
from converge.state import private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.config import Settings

SOCKET = "control.sock"
_SECONDS = 5.0


class NoAgentError(UsageError):
    """No agent is resident here."""


def find(settings: Settings) -> str | None:
    """Return the control socket's path; None: there is none here."""
    candidates = private.places(settings.root, "run", "converge")
    folder = private.choose(settings.runtime_dir, candidates, "CONVERGE_RUNTIME_DIR", create=False)
    path = os.path.join(folder, SOCKET) if folder else ""
    return path if path and os.path.exists(path) else None


def ask(settings: Settings, request: str, *, wait: bool = False) -> dict[str, str]:
    """Send a request and return the reply's lines. With `wait` it may take as long as a run.

    Raises NoAgentError, and ConvergeError with the agent's own words.
    """
    path = find(settings)
    if path is None:
        raise NoAgentError("no agent is resident here", "start one with `converge`, or use --once")
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(_SECONDS)
        connection.connect(path)
        connection.sendall(request.encode() + b"\n")
        connection.settimeout(None if wait else _SECONDS)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionRefusedError as error:
        raise NoAgentError("no agent is resident here: it has ended") from error
    except OSError as error:
        raise ConvergeError(f"{path}: the agent does not answer: {error}") from error
    finally:
        connection.close()
    first, *lines = reply.decode(errors="replace").splitlines() or [""]
    fields = dict(line.partition("=")[::2] for line in lines)
    if first != "ok":
        raise UsageError(fields.get("message", "the agent hung up; is this its own user, or root?"))
    return fields


def look(settings: Settings, problems: list[str]) -> dict[str, str] | None:
    """Return what the agent says of itself; None: there is none, empty: it does not answer.

    What is wrong with it joins `problems`, those that the state tells of: where the state could not
    be written, the agent alone knows that its last run failed.
    """
    try:
        agent = ask(settings, "status")
    except NoAgentError:
        return None
    except ConvergeError as error:
        problems.append(str(error))
        return {}
    if agent.get("last_end"):
        problems.append(agent["last_end"])
    elif agent.get("failures", "0") != "0" and not problems:
        problems.append("the agent's last run failed and kept no report; see its log")
    return agent
