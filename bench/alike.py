"""How each tool is told the same things that every container should have; all of them hold already.

Two packages are installed, the time zone is UTC, /etc/motd has a text, a group exists with a gid, and
four files and three directories have their permissions. What the stock profile
`base` asks for beyond (sysctls, DNS) not every tool can read, so it is a row of its own.
"""

from __future__ import annotations

import json

import files
from files import Tool, write

MOTD = "This container is kept as its profile declares it.\n"
FILES = {"/etc/passwd": "0644", "/etc/group": "0644", "/etc/shadow": "0640", "/etc/gshadow": "0640"}
FOLDERS = {"/root": "0700", "/tmp": "1777", "/var/tmp": "1777"}
GROUPS = {"0640": "shadow"}
ZONE = "/usr/share/zoneinfo/Etc/UTC"


def stock(folder: str, paths: list[str]) -> list[str]:
    """Return the command of converge with the stock profile of the image, and the others' motd."""
    where = ("--profile", "/etc/converge/profile.yaml", "--state-dir", f"{folder}/state")
    own = ("--runtime-dir", f"{folder}/run", "--var", f"motd={MOTD}")
    return ["converge", "--once", "--quiet", *where, *own]


def converge(folder: str, paths: list[str]) -> list[str]:
    """Return the command of converge, which makes what the others find."""
    resources = [
        {"package": ["ca-certificates", "tzdata"]},
        {"timezone": "Etc/UTC"},
        {"file": "/etc/motd", "content": MOTD, "mode": "0644"},
        {"group": "operators", "gid": 990},
        *(
            {"file": path, "mode": mode, "group": GROUPS.get(mode, "root")}
            for path, mode in FILES.items()
        ),
        *({"directory": path, "mode": mode} for path, mode in FOLDERS.items()),
    ]
    profile = write(f"{folder}/profile.yaml", json.dumps({"resources": resources}))
    where = (
        "--profile",
        profile,
        "--state-dir",
        f"{folder}/state",
        "--runtime-dir",
        f"{folder}/run",
    )
    return ["converge", "--once", "--quiet", *where]


def puppet(folder: str, paths: list[str]) -> list[str]:
    """Return the command of puppet."""
    lines = [
        "package { ['ca-certificates', 'tzdata']: ensure => installed }",
        f"file {{ '/etc/localtime': ensure => link, target => '{ZONE}' }}",
        f"file {{ '/etc/motd': content => {files.quoted(MOTD)}, mode => '0644' }}",
        "group { 'operators': gid => 990 }",
    ]
    for path, mode in FILES.items():
        group = GROUPS.get(mode, "root")
        lines.append(f"file {{ '{path}': mode => '{mode}', owner => 'root', group => '{group}' }}")
    for path, mode in FOLDERS.items():
        lines.append(f"file {{ '{path}': ensure => directory, mode => '{mode}', owner => 'root' }}")
    manifest = write(f"{folder}/manifest.pp", *lines)
    own = ("--confdir", f"{folder}/conf", "--vardir", f"{folder}/var")
    return ["puppet", "apply", "--color=false", *own, manifest]


def cfengine(folder: str, paths: list[str]) -> list[str]:
    """Return the command of CFEngine; packages by one program, the group by a look at the file."""
    have = "/usr/bin/dpkg-query -W ca-certificates tzdata"
    lines = [
        'body common control { bundlesequence => { "main" }; }',
        'body perms is(mode, group) { mode => "$(mode)"; owners => { "root" };',
        'groups => { "$(group)" }; }',
        'body perms just(mode) { mode => "$(mode)"; }',
        'body link_from to(target) { source => "$(target)"; }',
        "bundle agent main {",
        f'classes: "packages" expression => returnszero("{have}", "noshell");',
        '"operators" expression => regline("operators:x:990:.*", "/etc/group");',
        f'files: "/etc/localtime" link_from => to("{ZONE}");',
        f'"/etc/motd" create => "true", content => "{MOTD}", perms => just("0644");',
    ]
    for path, mode in FILES.items():
        lines.append(f'"{path}" perms => is("{mode}", "{GROUPS.get(mode, "root")}");')
    lines += [f'"{path}/." perms => is("{mode}", "root");' for path, mode in FOLDERS.items()]
    lines.append('reports: !packages|!operators:: "not there";')
    policy = write(f"{folder}/promises.cf", *lines, "}")
    return ["sh", "-c", f"chmod 600 {policy} && exec cf-agent -K -f {policy}"]


def ansible(folder: str, paths: list[str]) -> list[str]:
    """Return the command of ansible."""
    tasks = [
        {"apt": {"name": ["ca-certificates", "tzdata"]}},
        {"file": {"path": "/etc/localtime", "src": ZONE, "state": "link"}},
        {"copy": {"dest": "/etc/motd", "content": MOTD, "mode": "0644"}},
        {"group": {"name": "operators", "gid": 990}},
    ]
    for path, mode in FILES.items():
        group = GROUPS.get(mode, "root")
        tasks.append({"file": {"path": path, "mode": mode, "owner": "root", "group": group}})
    for path, mode in FOLDERS.items():
        tasks.append({"file": {"path": path, "mode": mode, "state": "directory"}})
    settings = {"ansible_python_interpreter": "/usr/bin/python3"}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": settings}
    book = write(f"{folder}/playbook.yml", json.dumps([play | {"tasks": tasks}]))
    return ["/peers/ansible/bin/ansible-playbook", "-i", "localhost,", book]


def salt(folder: str, paths: list[str]) -> list[str]:
    """Return the command of salt."""
    command = files.salt(folder, [])
    states = {
        "packages": {"pkg.installed": [{"pkgs": ["ca-certificates", "tzdata"]}]},
        "/etc/localtime": {"file.symlink": [{"target": ZONE}]},
        "/etc/motd": {"file.managed": [{"contents": MOTD}, {"mode": "0644"}]},
        "operators": {"group.present": [{"gid": 990}]},
    }
    for path, mode in FILES.items():
        own = [{"mode": mode}, {"user": "root"}, {"group": GROUPS.get(mode, "root")}]
        states[path] = {"file.managed": [{"replace": False}, *own]}
    for path, mode in FOLDERS.items():
        states[path] = {"file.directory": [{"mode": mode}]}
    write(f"{folder}/states/files.sls", "#!json", json.dumps(states))
    return command


def pyinfra(folder: str, paths: list[str]) -> list[str]:
    """Return the command of pyinfra."""
    lines = [
        "from io import StringIO",
        "from pyinfra.operations import apt, files, server",
        "apt.packages(packages=['ca-certificates', 'tzdata'])",
        f"files.link(path='/etc/localtime', target='{ZONE}')",
        f"files.put(src=StringIO({MOTD!r}), dest='/etc/motd', mode='644')",
        "server.group(group='operators', gid=990)",
    ]
    for path, mode in FILES.items():
        group = GROUPS.get(mode, "root")
        lines.append(f"files.file(path='{path}', mode='{mode[1:]}', user='root', group='{group}')")
    for path, mode in FOLDERS.items():
        lines.append(f"files.directory(path='{path}', mode='{mode.lstrip('0')}')")
    return ["/peers/pyinfra/bin/pyinfra", "-y", "@local", write(f"{folder}/deploy.py", *lines)]


def shell(folder: str, paths: list[str]) -> list[str]:
    """Return the command of a shell script as one would write it by hand."""
    write(f"{folder}/motd", MOTD[:-1])
    lines = [
        "set -eu",
        "packages='ca-certificates tzdata'",
        "dpkg-query -W $packages >/dev/null 2>&1 || apt-get install -y $packages",
        f'[ "$(readlink /etc/localtime)" = {ZONE} ] || ln -sfn {ZONE} /etc/localtime',
        f"cmp -s {folder}/motd /etc/motd || install -m 644 {folder}/motd /etc/motd",
        "getent group operators >/dev/null || groupadd -g 990 operators",
        'is() { [ "$(stat -c "%a %U:%G" "$3")" = "$1 $2" ] || { chown "$2" "$3"; chmod "$1" "$3"; }; }',
    ]
    for path, mode in FILES.items():
        lines.append(f"is {mode[1:]} root:{GROUPS.get(mode, 'root')} {path}")
    lines += [f"is {mode.lstrip('0')} root:root {path}" for path, mode in FOLDERS.items()]
    return ["sh", write(f"{folder}/script.sh", *lines)]


TOOLS = [
    Tool("bare interpreter", files.bare, files.AGENT_PYTHON),
    Tool("converge", converge, "/opt/converge/bin/converge"),
    Tool("converge, stock profile base", stock, "/opt/converge/bin/converge"),
    Tool("CFEngine", cfengine, "/usr/bin/cf-agent"),
    Tool("shell script", shell, "/bin/sh"),
    Tool("puppet", puppet, "/usr/bin/puppet"),
    Tool("salt", salt, "/peers/salt/bin/salt-call"),
    Tool("pyinfra", pyinfra, "/peers/pyinfra/bin/pyinfra"),
    Tool("ansible", ansible, "/peers/ansible/bin/ansible-playbook"),
]
