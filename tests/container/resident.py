"""What the tests of the resident agent ask of a container: its processes, zombies, repairs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from container.engine import Container

# Prints [pid, parent, state, user id, command line] of each process but itself.
_LIST = """
import glob, json, os
found = []
for folder in glob.glob("/proc/[0-9]*"):
    try:
        pid, rest = open(folder + "/stat").read().split(" (", 1)
        line = open(folder + "/cmdline").read().replace("\\0", " ")
        user = os.stat(folder).st_uid
    except OSError:
        continue
    state, parent = rest.rpartition(") ")[2].split()[:2]
    if int(pid) != os.getpid():
        found.append([int(pid), int(parent), state, str(user), line])
print(json.dumps(found))
"""
DAEMON = "/converge/daemon/__main__.py"
# An app with a child now and then, as many have; it ends with 3 when it is asked to.
APP = "trap 'echo stopped; exit 3' TERM; echo ready; while :; do sleep 0.2; done"


class Process(NamedTuple):
    """A process of a container, by its pid there."""

    pid: int
    parent: int
    state: str
    user: str
    line: str


def until(condition: Callable[[], Any], what: str = "that") -> None:
    """Wait for a condition, a minute at most."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"it did not come to {what} in a minute")


def processes(box: Container) -> list[Process]:
    """Return all that runs in a container, but for what lists it."""
    done = box.exec("/opt/converge/bin/python", "-ISc", _LIST, user="0")
    assert done.code == 0, done.err
    return [Process(*one) for one in done.json]


def agents(box: Container) -> list[Process]:
    """Return the resident agents."""
    return [one for one in processes(box) if DAEMON in one.line]


def zombies(box: Container) -> list[Process]:
    """Return the processes that have ended and that nobody has waited for."""
    return [one for one in processes(box) if one.state == "Z"]


def profile(path: str, text: str = "good\n", **more: Any) -> dict[str, Any]:
    """Return a profile of one file."""
    return {"resources": [{"file": path, "content": text, **more}]}


def is_idle(box: Container) -> bool:
    """Tell whether there is an agent that answers, and that it is between two runs."""
    return agent_says(box).get("busy") == ""


def break_and_wait(box: Container, path: str, text: str = "good\n", user: str = "") -> None:
    """Wait for the agent's first run, break a managed file and wait until it is right again."""
    until(lambda: is_idle(box), "an agent that answers")
    assert content(box, path) == text
    done = box.exec("sh", "-c", 'echo bad >"$1"', "sh", path, user=user)
    assert done.code == 0, done.err
    until(lambda: content(box, path) == text, f"{path}: {text!r} again")
    until(lambda: is_idle(box), "the end of the repair")
    until(lambda: not zombies(box), "no zombies")


def agent_says(box: Container) -> dict[str, Any]:
    """Return what the agent says of itself; empty: there is none."""
    done = box.converge("status", "--json")
    try:
        said: dict[str, Any] | None = done.json.get("agent")
    except ValueError:
        return {}
    return said or {}


def content(box: Container, path: str) -> str:
    """Return what a file holds; nothing, if it is not there."""
    return box.exec("cat", path).out
