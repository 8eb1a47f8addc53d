"""The agent does not kill its container, nor itself."""

from __future__ import annotations

import os
import sys

import pytest

import converge
from converge.config import Settings
from converge.errors import ProfileError
from converge.language import protect
from converge.loading import compiled, trusted_read
from converge.system import System

OWN = [
    "/etc/converge",
    "/opt/converge",
    "/opt/converge/bin/python3",
    "/srv/state",
    "/usr/local",
    "/usr/local/lib/python3.11",
]
SYSTEM_PYTHON = ["/etc/converge", "/usr", "/usr/lib/python3.11"]


def ask(kind, name, own=OWN, **spec):
    return protect.problem(kind, spec.get("state", "present"), name, spec, own)


def test_no_part_of_the_agents_own_files_is_edited():
    own = [*OWN, "/opt/converge"]
    assert "belongs to the agent" in ask("line", "x", own, path="/opt/converge/bin/converge")
    assert "another name of some path" in ask("line", "x", own, path="/proc/1/root/etc/a")
    assert ask("line", "x", own, path="/etc/passwd") is None


def test_nothing_is_mounted_over_what_the_container_or_the_agent_needs():
    for name in ("/", "/etc", "/usr", "/proc", "/run", "/srv", "/srv/state", "/opt"):
        for state in ("mounted", "unmounted", "absent"):
            assert "is protected" in ask("mount", name, state=state), name
    assert "is protected" in ask("mount", "/opt/converge/x", state="mounted")
    assert ask("mount", "/etc", state="present") is None
    for name in ("/tmp", "/mnt", "/home", "/srv/data", "/opt/app", "/var/lib/app"):
        assert ask("mount", name, state="mounted") is None, name


@pytest.mark.parametrize("name", sorted(protect._CORE | protect._PLACES | protect._FILES))
@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "download"])
def test_what_a_container_needs_is_not_removed(kind, name):
    assert f"{name} is protected" in ask(kind, name, own=[], state="absent")


@pytest.mark.parametrize(
    ("kind", "name", "spec"),
    [
        ("directory", "/", {"state": "absent", "force": True}),
        ("directory", "//", {"state": "absent"}),
        ("directory", "/etc/", {"state": "absent"}),
        ("directory", "/usr/../etc", {"state": "absent"}),
        ("directory", "/opt/converge", {"state": "absent"}),
        ("directory", "/opt/converge/lib", {"mode": "0777"}),
        ("directory", "/opt", {"purge": True, "force": True}),
        ("directory", "/srv", {"state": "absent"}),
        ("directory", "/srv", {"purge": True}),
        ("directory", "/srv", {"recurse": True, "owner": "app"}),
        ("directory", "/srv", {"mode": "0777"}),
        ("directory", "/srv/state", {"mode": "0755"}),
        ("directory", "/etc/converge", {"state": "absent"}),
        ("directory", "/usr/local", {"state": "absent"}),
        ("file", "/srv/state/report.json", {"state": "absent"}),
        ("file", "/opt/converge/bin/python3", {"content": ""}),
        ("symlink", "/opt/converge/bin/python3", {"target": "/bin/true"}),
        ("file", "/usr/local/lib/python3.11/os.py", {"content": ""}),
        ("file", "/etc", {"force": True}),
        ("symlink", "/usr", {"target": "/mnt", "force": True}),
        ("symlink", "/bin", {"target": "/tmp/x"}),
        ("symlink", "/etc/passwd", {"target": "/tmp/passwd"}),
        ("symlink", "/etc/converge", {"target": "/tmp/x"}),
        ("directory", "/etc/shadow", {"force": True}),
        ("file", "/etc/passwd", {"state": "absent"}),
        ("file", "/etc/passwd", {"mode": "0666"}),
        ("file", "/etc/shadow", {"mode": "a+w"}),
        ("directory", "/", {"mode": "0777"}),
        ("directory", "/", {"mode": "0700"}),
        ("directory", "/etc", {"mode": "o+w"}),
        ("directory", "/etc", {"mode": "u=rwx,go="}),
        ("directory", "/tmp", {"mode": "0777"}),
        ("directory", "/etc", {"owner": "app"}),
        ("directory", "/usr", {"recurse": True, "file_mode": "0644"}),
        ("directory", "/etc", {"purge": True}),
        ("directory", "/proc/1/root/etc", {"mode": "0777"}),
        ("file", "/proc/self/cwd/etc/passwd", {"state": "absent"}),
        ("file", "/proc/sys/kernel/hostname", {"state": "absent"}),
        ("user", "root", {"state": "absent"}),
        ("user", "root", {"uid": 1000}),
        ("group", "root", {"state": "absent"}),
        ("group", "root", {"gid": 5}),
        ("package", "dpkg", {"state": "absent"}),
        ("package", "libc6:amd64", {"state": "purged"}),
    ],
)
def test_suicide(kind, name, spec):
    assert "is protected" in ask(kind, name, **spec)


@pytest.mark.parametrize(
    ("kind", "name", "spec"),
    [
        ("file", "/etc/motd", {"state": "absent"}),
        ("file", "/etc/passwd", {"content": "root:x:0:0::/root:/bin/sh\n", "mode": "0644"}),
        ("file", "/etc/resolv.conf", {"content": ""}),
        ("file", "/etc/converge/agent.yaml", {"state": "absent"}),
        ("file", "/etc/converge/profile.yaml", {"content": "", "mode": "0600"}),
        ("directory", "/etc/converge", {"mode": "0700", "owner": "root"}),
        ("directory", "/etcetera", {"state": "absent"}),
        ("directory", "/etc", {"mode": "0755", "owner": "root", "group": "root"}),
        ("directory", "/etc", {"owner": "0"}),
        ("directory", "/etc/cron.d", {"purge": True, "force": True}),
        ("directory", "/tmp", {"mode": "1777"}),
        ("directory", "/tmp", {"mode": "+t"}),
        ("directory", "/root", {"mode": "0700"}),
        ("directory", "/home", {"mode": "0711"}),
        ("directory", "/home", {"recurse": True, "owner": "app"}),
        ("directory", "/opt/app", {"state": "absent", "force": True}),
        ("directory", "/opt/converge-old", {"state": "absent"}),
        ("directory", "/srv", {"mode": "0750", "owner": "app"}),
        ("directory", "/usr/local/bin", {"mode": "0755"}),
        ("file", "/usr/local/bin/tool", {"state": "absent"}),
        ("directory", "/usr/local/src", {"state": "absent"}),
        ("symlink", "/etc/localtime", {"target": "/usr/share/zoneinfo/UTC"}),
        ("symlink", "/opt/current", {"target": "app-2"}),
        ("file", "/proc/sys/kernel/hostname", {"content": "web"}),
        ("user", "root", {"uid": 0, "shell": "/usr/sbin/nologin"}),
        ("user", "root", {}),
        ("user", "deploy", {"state": "absent"}),
        ("group", "root", {"gid": 0}),
        ("group", "adm", {"state": "absent"}),
        ("package", "dpkg", {"state": "latest"}),
        ("package", "nginx", {"state": "purged"}),
        ("package", "python3", {"state": "absent"}),
        ("sysctl", "/etc", {"state": "absent"}),
    ],
)
def test_what_is_no_suicide(kind, name, spec):
    assert ask(kind, name, **spec) is None


@pytest.mark.parametrize(
    ("name", "protected"),
    [
        ("python3", True),
        ("python3.11", True),
        ("python3.11-minimal", True),
        ("libpython3.11-stdlib:amd64", True),
        ("python3-yaml", False),
        ("python3-venv", False),
        ("python2", False),
    ],
)
def test_the_interpreter_that_the_agent_runs_on(name, protected):
    assert (ask("package", name, own=SYSTEM_PYTHON, state="absent") is not None) is protected


def test_the_message_names_what_is_needed():
    assert ask("directory", "/srv", state="absent") == (
        "/srv is protected: the agent needs /srv/state"
    )
    assert ask("directory", "/etc", mode="0777").startswith("/etc is protected: with mode 0777")


class TestOwnPaths:
    def test_the_agent_of_this_process(self):
        own = protect.own_paths("/var/lib/converge")
        for path in (sys.prefix, sys.base_prefix, os.path.dirname(converge.__file__)):
            assert path in own
        for path in ("/var/lib/converge", "/etc/converge", os.path.realpath(sys.executable)):
            assert path in own
        assert "/" not in own
        assert "" not in own

    def test_without_state(self):
        assert "/var/lib/converge" not in protect.own_paths(None)

    def test_what_it_is_made_of_cannot_be_touched(self):
        own = protect.own_paths(None)
        for path in (protect.__file__, os.__file__, os.path.realpath(sys.executable)):
            for state in ("present", "absent"):
                assert "belongs to the agent" in protect.problem("file", state, path, {}, own)

    def test_through_a_symbolic_link(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        own = protect.own_paths(f"{tmp_path}/link")
        assert {f"{tmp_path}/link", f"{tmp_path}/real"} <= set(own)


SUICIDE = {
    "the root": "directory: /\n    state: absent\n    force: true",
    "the settings of everything": "directory: /etc\n    state: absent",
    "programs by another type": "file: /usr/bin\n    content: ''\n    force: true",
    "the loader": "symlink: /lib64\n    target: /tmp",
    "an open root": 'directory: /\n    mode: "0777"',
    "a closed root": 'directory: /\n    mode: "0700"',
    "everything below /etc": "directory: /etc\n    purge: true\n    force: true",
    "the owner of all programs": "directory: /usr\n    owner: nobody\n    recurse: true",
    "the accounts": "file: /etc/passwd\n    state: absent",
    "root": "user: root\n    state: absent",
    "the power of root": "user: root\n    uid: 1000",
    "the group root": "group: root\n    state: absent",
    "the agent's settings": "directory: /etc/converge\n    state: absent",
    "the agent's state": "directory: /srv/state\n    state: absent",
    "the agent's code": f"file: {protect.__file__}\n    state: absent",
    "the agent's interpreter": f"directory: {sys.prefix}\n    state: absent\n    force: true",
    "the package manager": "package: dpkg\n    state: absent",
}


@pytest.mark.parametrize("resource", SUICIDE.values(), ids=SUICIDE)
def test_a_suicide_profile_is_refused_before_anything_is_touched(tmp_path, resource):
    profile = tmp_path / "profile.yaml"
    profile.write_text(f"profile: suicide\nresources:\n  - {resource}\n")
    profile.chmod(0o644)
    (tmp_path / "root").mkdir()
    settings = Settings(profile=str(profile), root=str(tmp_path / "root"))
    with pytest.raises(ProfileError) as raised:
        compiled(settings, System(settings.root), "/srv/state", trusted_read)
    (problem,) = raised.value.problems
    refused_by_the_kind = "only the owner, group and mode of `/` itself can be managed"
    assert "protected" in problem.message or problem.message == refused_by_the_kind
    assert problem.line in (3, 4)  # the resource, or the attribute that is at fault
    assert os.listdir(tmp_path / "root") == []
