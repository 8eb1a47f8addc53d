#!/usr/bin/env python3
"""In the container of bench/run.py: time every tool over N files and over a base-like profile.

    measure.py SIZES MOST       as in: measure.py 1,100,1000,10000 15

Prints a JSON object: versions, sizes, and for `first`, `in sync` and `drift` by N the summaries of
rounds.py by tool. What a tool made is compared with what it should have made.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from typing import Any

import alike
import files
import rounds

SCRATCH = "/bench/scratch"
RACY = 2.5  # seconds after which a file that looks as before is as before, to converge
VERSIONS = {
    "converge": ["converge", "--version"],
    "Python": [files.AGENT_PYTHON, "--version"],
    "CFEngine": ["cf-agent", "--version"],
    "rsync": ["rsync", "--version"],
    "systemd-tmpfiles": ["systemd-tmpfiles", "--version"],
    "shell": ["dpkg-query", "-Wf", "dash ${Version}", "dash"],
    "puppet": ["puppet", "--version"],
    "salt": ["/peers/salt/bin/salt-call", "--version"],
    "pyinfra": ["/peers/pyinfra/bin/pyinfra", "--version"],
    "ansible": ["/peers/ansible/bin/ansible", "--version"],
}


def say(*words: object) -> None:
    """Tell a person how far it is."""
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def installed(tools: list[files.Tool]) -> list[files.Tool]:
    """Return the tools that are there."""
    return [tool for tool in tools if os.path.exists(tool.program)]


def version(command: list[str]) -> str:
    """Return the first line that a program says of itself."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.partition("\n")[0].strip()


def remove(folder: str, tool: files.Tool, paths: list[str]) -> None:
    """Remove the files that a tool has made, and what it must not know in a first run."""
    for path in paths:
        if os.path.exists(path):
            os.unlink(path)
    for name in tool.forget:
        shutil.rmtree(f"{folder}/{name}", ignore_errors=True)


def spoil(paths: list[str]) -> None:
    """Change one file of a hundred."""
    for path in paths[::100]:
        with open(path, "w", encoding="utf-8") as file:
            file.write("spoilt\n")


def check(tool: files.Tool, paths: list[str]) -> None:
    """Raise ToolError where a file is not as it shall be."""
    for path in paths:
        with open(path, encoding="utf-8") as file:
            if file.read() != files.content(path):
                raise rounds.ToolError(f"{tool.name} left {path} as it was")


def over_files(count: int, most: int) -> dict[str, Any]:
    """Return the summaries over `count` files, by what and by tool."""
    tools = [tool for tool in installed(files.TOOLS) if tool.limit >= count]
    say(count, "files:", ", ".join(tool.name for tool in tools))
    found: dict[str, Any] = {}
    with rounds.scratch(SCRATCH):
        made = {
            tool: files.prepare(tool, f"{SCRATCH}/{i:02d}", count) for i, tool in enumerate(tools)
        }
        first = {}
        for i, tool in enumerate(tools):
            command, paths = made[tool]
            before = functools.partial(remove, f"{SCRATCH}/{i:02d}", tool, paths)
            if tool.writes:
                first[tool.name] = rounds.Runner(command, before)
            else:
                shutil.copytree(
                    f"{SCRATCH}/{i:02d}/source", f"{SCRATCH}/{i:02d}/tree", dirs_exist_ok=True
                )
        say("first")
        found["first"] = rounds.turns(first, max(rounds.LEAST, most // 3))
        for tool, (_, paths) in made.items():
            check(tool, paths)
        time.sleep(RACY)
        say("in sync")
        again = {t.name: rounds.Runner(c) for t, (c, _) in made.items() if t.again}
        found["in sync"] = rounds.turns(again, most)
        say("drift")
        fixers = {
            tool.name: rounds.Runner(command, functools.partial(spoil, paths))
            for tool, (command, paths) in made.items() if tool.repairs
        }  # fmt: skip
        found["drift"] = rounds.turns(fixers, max(rounds.LEAST, most // 3))
        for tool, (_, paths) in made.items():
            if tool.repairs:
                check(tool, paths)
    return found


def over_base(most: int) -> dict[str, Any]:
    """Return the summaries over what every container should have, by tool; all in sync."""
    say("base-like")
    with rounds.scratch(SCRATCH):
        runners = {}
        for number, tool in enumerate(installed(alike.TOOLS)):
            folder = f"{SCRATCH}/{number:02d}"
            os.makedirs(folder)
            runners[tool.name] = rounds.Runner(tool.set_up(folder, []))
            rounds.run(runners[tool.name].command)
        time.sleep(RACY)
        return rounds.turns(runners, most)


def sizes() -> dict[str, int]:
    """Return the bytes that each peer added to the image."""
    with open("/peers/sizes", encoding="ascii") as file:
        return {name: int(size) for name, size in (line.split() for line in file)}


def missing() -> list[str]:
    """Return the peers that could not be installed."""
    if not os.path.exists("/peers/missing"):
        return []
    with open("/peers/missing", encoding="ascii") as file:
        return file.read().split()


def main() -> None:
    """Measure all, and print it."""
    counts, most = [int(size) for size in sys.argv[1].split(",")], int(sys.argv[2])
    os.environ.update(LC_ALL="C.UTF-8", PATH=f"{os.environ['PATH']}:/sbin:/usr/sbin")
    kernel = ".".join(platform.release().split(".")[:2])
    found: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "kernel": kernel, "load": os.getloadavg()},
        "missing": missing(),
        "versions": {n: version(c) for n, c in VERSIONS.items() if shutil.which(c[0])},
        "sizes": sizes(),
        "base": over_base(most),
        "files": {},
    }
    for count in counts:
        found["files"][str(count)] = over_files(count, most)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
