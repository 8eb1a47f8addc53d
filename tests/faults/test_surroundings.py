"""A whole run where things are missing or odd: what can be done is done, and the rest is said."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from container import strace
from faults import tracing
from faults.needs import need_mounts, need_strace

FORKS = "clone,clone3,fork,vfork"
NEVER = "the hijack came true"


class Place:
    """A folder with a profile of a file and a command, and how to run converge for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.made = folder / "file", folder / "made"
        self.profile = folder / "p.yaml"
        self.profile.write_text(
            f"resources:\n"
            f"  - file: {self.file}\n    content: whole\n"
            f"  - command: env\n    argv: [sh, -c, 'env > {self.made}']\n    creates: {self.made}\n"
        )
        for name in ("state", "run", "cwd"):
            (folder / name).mkdir(mode=0o700)

    def argv(self, *words: str) -> list[str]:
        return [
            *tracing.PYTHON, "-m", "converge", *(words or ("--once",)), "--profile", str(self.profile),
            "--state-dir", f"{self.folder}/state", "--runtime-dir", f"{self.folder}/run",
        ]  # fmt: skip

    def run(
        self, before: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, *self.argv()], env=env or {}, cwd=self.folder / "cwd",
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run it by a script, in which it is "$@"."""
        return self.run(["/bin/sh", "-c", script, "sh"])

    def converged(self) -> bool:
        return self.file.read_text() == "whole" and self.made.exists()


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_environment_no_streams_no_directory(place, closed):
    told = place.shell(f'LANG=xx_YY TZ=No/Where; export LANG TZ; rmdir "$PWD"; exec "$@" {closed}')
    assert told.returncode == 0, told
    assert place.converged()


def test_nobody_reads_what_it_says(place):
    told = place.shell('{ "$@" --verbose; echo $? >code; } | true; cat code')
    assert told.stdout == "0\n", told
    assert place.converged()


def test_no_proc_and_no_sys(place):
    """What needs them fails and says so; the rest converges."""
    need_mounts()
    script = 'mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec "$@"'
    told = place.run(["unshare", "-m", "sh", "-c", script, "sh"])
    assert "Traceback" not in told.stdout + told.stderr
    assert place.file.read_text() == "whole"
    assert told.returncode == (0 if place.made.exists() else 4)


def injected(calls: str, error: str) -> list[str]:
    need_strace()
    what = ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    return ["strace", "-f", "-qq", "-o", "/dev/null", *what]


def test_no_process_is_left(place):
    """`--pids-limit`, a fork bomb of the application's."""
    told = place.run(injected(FORKS, "EAGAIN"))
    assert told.returncode == 4, told
    assert "sh cannot be started: Resource temporarily unavailable" in told.stdout
    assert place.file.read_text() == "whole"
    assert place.run().returncode == 0
    assert place.converged()


@pytest.mark.parametrize("error", ["ENOSYS", "EPERM", "ENOLCK"])
def test_no_lock_no_run(place, error):
    """A file system or a seccomp filter without flock(2): nothing keeps another run away."""
    told = place.run(injected("flock", error))
    assert (told.returncode, told.stdout) == (1, ""), told
    assert "cannot be locked" in told.stderr
    assert "Traceback" not in told.stderr
    assert not place.file.exists()


FILLS = {
    "bytes": ("size=64k", "cat /dev/zero >ballast 2>/dev/null"),
    "inodes": ("nr_inodes=40", "n=0; while touch f$n 2>/dev/null; do n=$((n+1)); done"),
    "read-only": ("size=64k", "mount -o remount,ro ."),
}


@pytest.mark.parametrize("where", ["state", "run"])
@pytest.mark.parametrize(("options", "fill"), FILLS.values(), ids=FILLS)
def test_no_room_for_the_agents_own_files(place, where, options, fill):
    """After a good run: no backup or note, no change; it is said, and the next run heals."""
    need_mounts()
    script = (
        f'cd "{place.folder}/{where}" && mount -t tmpfs -o mode=0700,{options} none . && cd "$PWD"\n'
        f'"$@" && {{ {fill}; }}; echo drift >{place.file}; "$@" >{place.folder}/out 2>&1; echo $?\n'
        f'mount -o remount,rw . && rm -f ballast f[0-9]*; "$@" >/dev/null; echo $?'
    )
    told = place.run(["unshare", "-m", "sh", "-c", script, "sh"])
    said = (place.folder / "out").read_text()
    codes = told.stdout.split()[-2:]
    assert "Traceback" not in said + told.stderr
    if "remount" in fill:
        assert (codes[0], "cannot be written" in said) == ("1", True)
    elif where == "state":
        assert (codes[0], "nothing can be noted in the state directory: No space" in said) == (
            "4",
            True,
        )
    else:
        assert codes[0] == "0", said
    assert codes[1] == "0", (said, told)
    assert place.converged()


HIJACKS: dict[str, Callable[[Path], str]] = {
    "PYTHONPATH": str, "PYTHONHOME": str, "PYTHONUSERBASE": str, "PERL5LIB": str, "GCONV_PATH": str,
    "PYTHONSTARTUP": "{}/sitecustomize.py".format, "BASH_ENV": "{}/sh".format, "ENV": "{}/sh".format,
    "APT_CONFIG": "{}/apt.conf".format, "PATH": str, "IFS": "/{}".format, "TMPDIR": str,
    "DPKG_ROOT": str,
}  # fmt: skip


def test_the_environment_and_the_directory_hijack_nothing(place):
    """CVE-2024-48990 of needrestart: modules and programs in places that another user chose."""
    folder = place.folder / "cwd"
    marker = place.folder / "marker"
    for module in ("sitecustomize", "usercustomize", "json", "yaml", "converge", "pydantic", "os"):
        (folder / f"{module}.py").write_text(
            f"open({str(marker)!r}, 'w'); raise SystemExit({NEVER!r})"
        )
    for program in ("sh", "env", "python3", "bash"):
        (folder / program).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (folder / program).chmod(0o755)
    told = place.run(env={name: value(folder) for name, value in HIJACKS.items()})
    assert told.returncode == 0, told
    assert not marker.exists()
    given = dict(line.split("=", 1) for line in place.made.read_text().splitlines())
    assert given.keys() - {"_", "SHLVL"} == {"PATH", "LANG", "LC_ALL", "DEBIAN_FRONTEND", "PWD"}
    assert str(folder) not in str(given)


REFUSED = {
    "a cycle": "[{file: A, content: x, require: 'file:B'}, {file: B, content: x, require: 'file:A'}]",
    "twice": "[{file: A, content: x}, {file: A, content: y}]",
    "there and not there": "[{file: A, content: x}, {directory: A, state: absent}]",
    "a child of what goes": "[{directory: A, state: absent}, {file: A/x, content: x}]",
    "nobody": "[{file: A, content: x, require: 'file:C'}]",
    "no such attribute": "[{file: A, content: x, mood: x}]",
    "no such kind": "[{file: A, content: x}, {fiel: B}]",
    "suicide": "[{file: A, content: x}, {directory: /etc, state: absent, force: true}]",
    "the state": "[{file: A, content: x}, {directory: STATE, state: absent, force: true}]",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_profile_that_is_refused_changes_nothing(place, text):
    """By the trace of all that the process does, outside its own state and runtime directories."""
    need_strace()
    folder = place.folder
    for name, path in (("A", folder / "a"), ("B", folder / "b"), ("STATE", folder / "state")):
        text = text.replace(f": {name}", f": {path}").replace(f"file:{name}'", f"file:{path}'")
    place.profile.write_text(f"resources: {text}\n")
    log = folder / "log"
    told = place.run(strace.command(str(log)))
    assert told.returncode == 1, told
    assert str(place.profile) in told.stderr
    calls = strace.parse(log.read_text())
    assert calls
    own = (str(folder / "state"), str(folder / "run"), str(log))
    assert strace.mutations(calls, own) == []


def test_the_control_profile_changes_something(place):
    """Else the trace of a refused one would prove nothing."""
    need_strace()
    log = place.folder / "log"
    assert place.run(strace.command(str(log))).returncode == 0
    own = (str(place.folder / "state"), str(place.folder / "run"))
    changed = {
        path for call in strace.mutations(strace.parse(log.read_text()), own) for path in call.paths
    }
    assert str(place.file) in changed
