"""How each tool is told of N files, and the command by which it makes them so.

A tool gets a folder of its own, with `source/` (the files as they shall be), and manages `tree/` beside
it. All are told the path, the content and the mode 0644 of each file, in the way that its manual shows
first. Where a tool has a faster way (CFEngine and rsync copy a folder), that is a tool of its own.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from noop import make

if TYPE_CHECKING:
    from collections.abc import Callable

AGENT_PYTHON = "/opt/converge/bin/python"


class Tool(NamedTuple):
    """A tool: how it is set up in a folder (which returns its command), and what it is good for."""

    name: str
    set_up: Callable[[str, list[str]], list[str]]
    program: str  # where this is missing, so is the tool
    limit: int = 10_000  # the most files that it is given: more would take hours
    writes: bool = True  # it can make the files; else they are made by hand, and it only looks
    repairs: bool = True  # it sees a file whose content is not right
    forget: tuple[str, ...] = ()  # what is removed for a first run, beside the tree
    again: bool = True  # it is run again when the files are there, too


def content(path: str) -> str:
    """Return the text of a file of `source` for a path below `tree`."""
    with open(path.replace("/tree/", "/source/", 1), encoding="utf-8") as file:
        return file.read()


def write(path: str, *lines: str) -> str:
    """Write lines to a file, and return its path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def folders(paths: list[str]) -> list[str]:
    """Return the directories of paths, and `tree` above them."""
    found = sorted({os.path.dirname(path) for path in paths})
    return [os.path.dirname(found[0]), *found]


def quoted(text: str) -> str:
    """Return a text as a string of JSON, which Puppet, YAML, Python and CFEngine (see there) read."""
    return json.dumps(text)


def converge(*options: str) -> Callable[[str, list[str]], list[str]]:
    """Return the set-up of converge with some options."""

    def set_up(folder: str, paths: list[str]) -> list[str]:
        where = ("--profile", f"{folder}/profile.yaml", "--state-dir", f"{folder}/state")
        return ["converge", "--once", "--quiet", *options, *where, "--runtime-dir", f"{folder}/run"]

    return set_up


def python_loop(folder: str, paths: list[str]) -> list[str]:
    return [AGENT_PYTHON, "-I", f"{folder}/loop.py", f"{folder}/plain.json"]


def c_loop(folder: str, paths: list[str]) -> list[str]:
    records = [f"644 {len(content(path))} {path}\n{content(path)}" for path in paths]
    with open(f"{folder}/plain.txt", "w", encoding="utf-8") as file:
        file.write("".join(records))
    return ["/peers/loop", f"{folder}/plain.txt"]


def bare(folder: str, paths: list[str]) -> list[str]:
    return [AGENT_PYTHON, "-I", "-c", "pass"]


def puppet(folder: str, paths: list[str]) -> list[str]:
    lines = [f"file {{ '{path}': ensure => directory }}" for path in folders(paths)]
    lines += [
        f"file {{ '{path}': content => {quoted(content(path))}, mode => '0644' }}" for path in paths
    ]
    manifest = write(f"{folder}/manifest.pp", *lines)
    own = ("--confdir", f"{folder}/conf", "--vardir", f"{folder}/var")
    return ["puppet", "apply", "--color=false", *own, manifest]


_CF_HEAD = (
    'body common control { bundlesequence => { "main" }; }',
    'body perms mode { mode => "0644"; }',
    'body depth_search all { depth => "inf"; }',
    'body copy_from by_hash(from) { source => "$(from)"; compare => "hash"; }',
    "bundle agent main { files:",
)


def cfengine_content(folder: str, paths: list[str]) -> list[str]:
    lines = [f'"{path}/." create => "true";' for path in folders(paths)]
    for path in paths:  # its strings go over lines, and know only \" and \\
        text = content(path).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'"{path}" create => "true", content => "{text}", perms => mode;')
    policy = write(f"{folder}/promises.cf", *_CF_HEAD, *lines, "}")
    os.chmod(policy, 0o600)
    return ["cf-agent", "-K", "-f", policy]


def cfengine_copy(folder: str, paths: list[str]) -> list[str]:
    line = f'"{folder}/tree" copy_from => by_hash("{folder}/source"), depth_search => all;'
    policy = write(f"{folder}/promises.cf", *_CF_HEAD, line, "}")
    os.chmod(policy, 0o600)
    return ["cf-agent", "-K", "-f", policy]


def ansible(folder: str, paths: list[str]) -> list[str]:
    made = {"path": "{{ item }}", "state": "directory"}
    copied = {"dest": "{{ item.path }}", "content": "{{ item.content }}", "mode": "0644"}
    items = [{"path": path, "content": content(path)} for path in paths]
    tasks = [
        {"ansible.builtin.file": made, "loop": folders(paths)},
        {
            "ansible.builtin.copy": copied,
            "loop": items,
            "loop_control": {"label": "{{ item.path }}"},
        },
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    book = write(f"{folder}/playbook.yml", json.dumps([play]))
    return ["/peers/ansible/bin/ansible-playbook", "-i", "localhost,", book]


def salt(folder: str, paths: list[str]) -> list[str]:
    states = {
        path: {"file.managed": [{"contents": content(path)}, {"mode": "0644"}, {"makedirs": True}]}
        for path in paths
    }
    write(f"{folder}/states/files.sls", "#!json", json.dumps(states))
    settings = {"file_client": "local", "file_roots": {"base": [f"{folder}/states"]}}
    settings |= {name: f"{folder}/salt/{name}" for name in ("cachedir", "pki_dir", "sock_dir")}
    write(f"{folder}/minion", json.dumps(settings | {"log_file": f"{folder}/salt/log"}))
    return ["/peers/salt/bin/salt-call", "--local", "-c", folder, "state.apply", "files"]


def pyinfra(folder: str, paths: list[str]) -> list[str]:
    lines = ["from io import StringIO", "from pyinfra.operations import files"]
    lines += [f"files.directory(path={path!r})" for path in folders(paths)]
    for path in paths:
        text = f"StringIO({content(path)!r})"
        lines.append(f"files.put(src={text}, dest={path!r}, mode='644')")
    return ["/peers/pyinfra/bin/pyinfra", "-y", "@local", write(f"{folder}/deploy.py", *lines)]


def shell(folder: str, paths: list[str]) -> list[str]:
    lines = ["set -eu", 'made() { cmp -s "$1" "$2" || install -m 644 "$1" "$2"; }']
    lines += [f"[ -d {path} ] || mkdir -p {path}" for path in folders(paths)]
    lines += [f"made {path.replace('/tree/', '/source/', 1)} {path}" for path in paths]
    return ["sh", write(f"{folder}/script.sh", *lines)]


def tmpfiles(folder: str, paths: list[str]) -> list[str]:
    lines = [f"d {path} 0755" for path in folders(paths)]
    lines += [f"f {path} 0644 - - - {quoted(content(path))[1:-1]}" for path in paths]
    return ["systemd-tmpfiles", "--create", write(f"{folder}/files.conf", *lines)]


def rsync(*options: str) -> Callable[[str, list[str]], list[str]]:
    """Return the set-up of rsync with some options."""
    return lambda folder, paths: ["rsync", "-a", *options, f"{folder}/source/", f"{folder}/tree/"]


_STATE = ("state", "run")
TOOLS = [
    Tool("bare interpreter", bare, AGENT_PYTHON, writes=False, repairs=False),
    Tool("minimal Python loop", python_loop, AGENT_PYTHON, writes=False, repairs=False),
    Tool("minimal C loop", c_loop, "/peers/loop", writes=False, repairs=False),
    Tool("converge", converge(), "/opt/converge/bin/converge", forget=_STATE),
    Tool("converge, baked", converge(), "/opt/converge/bin/converge", repairs=False, again=False),
    Tool("converge --full", converge("--full"), "/opt/converge/bin/converge", forget=_STATE),
    Tool("CFEngine, content", cfengine_content, "/usr/bin/cf-agent"),
    Tool("CFEngine, copy_from", cfengine_copy, "/usr/bin/cf-agent"),
    Tool("rsync -a", rsync(), "/usr/bin/rsync"),
    Tool("rsync -ac", rsync("-c"), "/usr/bin/rsync"),
    Tool("systemd-tmpfiles", tmpfiles, "/usr/bin/systemd-tmpfiles", repairs=False),
    Tool("shell script", shell, "/bin/sh"),
    Tool("puppet", puppet, "/usr/bin/puppet"),
    Tool("salt", salt, "/peers/salt/bin/salt-call"),
    Tool("pyinfra", pyinfra, "/peers/pyinfra/bin/pyinfra", limit=100),
    Tool("ansible", ansible, "/peers/ansible/bin/ansible-playbook", limit=100),
]


def prepare(tool: Tool, folder: str, count: int) -> tuple[list[str], list[str]]:
    """Write what a tool needs for `count` files to a new folder; return its command and the paths."""
    os.makedirs(folder)
    make(folder, count)
    with open(f"{folder}/plain.json", encoding="utf-8") as file:
        plain = json.load(file)
    for path, text, _ in plain:
        write(path.replace("/tree/", "/source/", 1), text[:-1])
    paths = [path for path, _, _ in plain]
    return tool.set_up(folder, paths), paths
