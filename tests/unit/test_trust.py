"""Only what nobody but root or the agent's own user could change or swap is read."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from converge.errors import UsageError
from converge.files import trust
from converge.files.trust import UntrustedError

ROOT = os.geteuid() == 0
NOBODY = 65534


def lay(folder, steps):
    """Make directories (`name/`), files (`name`) and links (`name -> target`) with mode and owner.

    Modes and owners are set last and inside out, so that the laying itself is never in the way.
    """
    later = []
    for step, mode, *owner in steps:
        name, _, target = step.partition(" -> ")
        path = os.path.join(folder, name)
        if target:
            os.symlink(target.replace("TMP", str(folder)), path)
        elif name.endswith("/"):
            os.mkdir(path)
        else:
            with open(path, "w", encoding="ascii") as file:
                file.write("content")
        later.append((path.rstrip("/"), mode, owner))
    for path, mode, owner in reversed(later):
        if owner:
            os.chown(path, *owner, follow_symlinks=False)
        if mode is not None:
            os.chmod(path, mode)


GOOD = {
    "plain": [("d/", 0o755), ("d/p", 0o644)],
    "private": [("d/", 0o700), ("d/p", 0o600)],
    "read-only": [("d/", 0o555), ("d/p", 0o444)],
    "sticky directory": [("d/", 0o1777), ("d/p", 0o644)],
    "directory in a sticky one": [("s/", 0o1777), ("s/d/", 0o755), ("s/d/p", 0o644), ("d -> s/d", None)],
    "link": [("d/", 0o755), ("x", 0o644), ("d/p -> ../x", None)],
    "absolute link": [("d/", 0o755), ("x", 0o644), ("d/p -> TMP/x", None)],
    "link to a directory": [("e/", 0o755), ("e/p", 0o644), ("d -> e", None)],
    "ConfigMap": [
        ("d/", 0o755), ("d/..2025/", 0o755), ("d/..2025/p", 0o644),
        ("d/..data -> ..2025", None), ("d/p -> ..data/p", None),
    ],
    "link in a sticky directory": [("d/", 0o1777), ("x", 0o644), ("d/p -> ../x", None)],
}  # fmt: skip

BAD = {  # the name of what is at fault, and what is there
    "group writes the file": ("d/p", [("d/", 0o755), ("d/p", 0o664)]),
    "others write the file": ("d/p", [("d/", 0o755), ("d/p", 0o646)]),
    "group writes the directory": ("d", [("d/", 0o775), ("d/p", 0o644)]),
    "others write the directory": ("d", [("d/", 0o757), ("d/p", 0o644)]),
    "an ancestor": ("a", [("a/", 0o777), ("a/d/", 0o755), ("a/d/p", 0o644), ("d -> a/d", None)]),
    "the link's directory": ("d", [("d/", 0o777), ("x", 0o644), ("d/p -> ../x", None)]),
    "the target's directory": (
        "e", [("d/", 0o755), ("e/", 0o777), ("e/p", 0o644), ("d/p -> ../e/p", None)]),
    "the target": ("x", [("d/", 0o755), ("x", 0o666), ("d/p -> ../x", None)]),
    "a link on the way, then back": (
        "e", [("e/", 0o777), ("e/f/", 0o755), ("p", 0o644), ("d -> e/f/../..", None)]),
    "sticky does not excuse the file": ("d/p", [("d/", 0o1777), ("d/p", 0o666)]),
    "a ConfigMap's version": ("d/..2025", [
        ("d/", 0o755), ("d/..2025/", 0o777), ("d/..2025/p", 0o644),
        ("d/..data -> ..2025", None), ("d/p -> ..data/p", None)]),
}  # fmt: skip

FOREIGN = {  # these need another owner
    "file": ("d/p", [("d/", 0o755), ("d/p", 0o644, NOBODY, 0)]),
    "directory": ("d", [("d/", 0o755, NOBODY, 0), ("d/p", 0o644)]),
    "ancestor": ("a", [("a/", 0o755, NOBODY, 0), ("a/d/", 0o755), ("a/d/p", 0o644), ("d -> a/d", None)]),
    "link": ("d/p", [("d/", 0o755), ("x", 0o644), ("d/p -> ../x", None, NOBODY, 0)]),
    "file in a sticky directory": ("d/p", [("d/", 0o1777), ("d/p", 0o644, NOBODY, 0)]),
    "link in a sticky directory": (
        "d/p", [("d/", 0o1777), ("x", 0o644), ("d/p -> ../x", None, NOBODY, 0)]),
    "target": ("x", [("d/", 0o755), ("x", 0o644, NOBODY, 0), ("d/p -> ../x", None)]),
    "sticky directory of another": ("d", [("d/", 0o1777, NOBODY, 0), ("d/p", 0o644)]),
    "group writes, group of another": ("d/p", [("d/", 0o755), ("d/p", 0o664, 0, NOBODY)]),
}  # fmt: skip


@pytest.mark.parametrize("steps", GOOD.values(), ids=GOOD)
def test_trusted(tmp_path, steps):
    lay(tmp_path, steps)
    real, content = trust.read(f"{tmp_path}/d/p")
    assert content == b"content"
    assert real == os.path.realpath(f"{tmp_path}/d/p")


# A user who is not root trusts their own group (see below): those cases are root's.
@pytest.mark.parametrize(
    ("fault", "steps"),
    [case for name, case in BAD.items() if ROOT or not name.startswith("group")],
)
def test_untrusted_by_mode(tmp_path, fault, steps):
    lay(tmp_path, steps)
    with pytest.raises(UntrustedError) as raised:
        trust.read(f"{tmp_path}/d/p")
    assert str(raised.value).startswith(f"{tmp_path}/{fault} can be changed by ")
    assert f"w {tmp_path}/{fault})" in str(raised.value)  # (chmod go-w PATH)


if ROOT:

    @pytest.mark.parametrize(("fault", "steps"), FOREIGN.values(), ids=FOREIGN)
    def test_untrusted_by_owner(tmp_path, fault, steps):
        lay(tmp_path, steps)
        with pytest.raises(UntrustedError) as raised:
            trust.read(f"{tmp_path}/d/p")
        assert str(raised.value).startswith(f"{tmp_path}/{fault} ")
        assert raised.value.remedy.startswith("ch")
        assert raised.value.remedy.endswith(f" {tmp_path}/{fault}")

    @pytest.mark.parametrize(
        ("mode", "group", "trusted"),
        [
            (0o664, 0, True),  # OpenShift: an arbitrary user in group 0, files made g=u
            (0o664, 4242, False),
            (0o666, 0, False),
        ],
    )
    def test_own_group_of_an_arbitrary_user(tmp_path, mode, group, trusted):
        lay(tmp_path, [("d/", 0o775, 0, 0), ("d/p", mode, 0, group)])
        assert as_user(1000700000, 0, "/d/p", tmp_path) is trusted

    def test_own_files_of_another_user(tmp_path):
        lay(tmp_path, [("d/", 0o755, 4242, 4242), ("d/p", 0o600, 4242, 4242)])
        assert as_user(4242, 4242, "/d/p", tmp_path)
        assert not as_user(4343, 4242, "/d/p", tmp_path)


def as_user(uid, gid, path, folder):
    """Tell whether a process of another user, whose / is `folder`, trusts a file."""
    folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        try:
            os.chroot(folder)
            os.chdir("/")
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            trust.read(path)
            os._exit(0)
        except UntrustedError:
            os._exit(1)
        finally:
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1)
    return code == 0


def test_another_name_in_a_sticky_directory_is_refused(tmp_path):
    """Anyone may link somebody's file there where fs.protected_hardlinks is 0."""
    lay(tmp_path, [("d/", 0o1777), ("old", 0o644)])
    os.link(tmp_path / "old", tmp_path / "d/p")
    with pytest.raises(UntrustedError, match="has 2 names"):
        trust.read(f"{tmp_path}/d/p")
    assert trust.read(f"{tmp_path}/old")[1] == b"content"


@pytest.mark.parametrize("name", ["none", "none/p", "d/p/x", "d/none", "dangling"])
def test_missing(tmp_path, name):
    lay(tmp_path, [("d/", 0o755), ("d/p", 0o644), ("dangling -> nowhere", None)])
    with pytest.raises(UsageError, match=f"there is no {tmp_path}/{name}"):
        trust.read(f"{tmp_path}/{name}")
    with pytest.raises(UsageError, match=f"there is no {tmp_path}/none"):
        trust.directory(f"{tmp_path}/none")


def test_what_is_no_regular_file(tmp_path):
    lay(tmp_path, [("d/", 0o755)])
    os.mkfifo(tmp_path / "d/fifo")
    for path in (f"{tmp_path}/d/fifo", f"{tmp_path}/d", "/", "/dev/zero"):
        with pytest.raises(UsageError, match="is not a regular file"):
            trust.read(path)


def test_a_loop(tmp_path):
    os.symlink("b", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    with pytest.raises(UsageError, match="Too many levels of symbolic links"):
        trust.read(f"{tmp_path}/a")


def test_limit(tmp_path):
    lay(tmp_path, [("p", 0o644)])
    assert trust.read(f"{tmp_path}/p", 7)[1] == b"content"
    with pytest.raises(UsageError, match="larger than 6 bytes"):
        trust.read(f"{tmp_path}/p", 6)


def test_spellings_of_a_path(tmp_path, monkeypatch):
    lay(tmp_path, [("d/", 0o755), ("d/p", 0o644)])
    monkeypatch.chdir(tmp_path / "d")
    for path in ("p", "./p", "../d/p", f"/{tmp_path}//d/./p", f"{tmp_path}/d/../d/p"):
        assert trust.read(path)[0] == f"{tmp_path}/d/p"
    assert trust.read(f"{'../' * 40}{tmp_path}/d/p")[0] == f"{tmp_path}/d/p"


def test_directory(tmp_path):
    lay(tmp_path, [("d/", 0o755), ("s/", 0o1777), ("o/", 0o777), ("l -> d", None), ("p", 0o644)])
    assert trust.directory(f"{tmp_path}/l") == f"{tmp_path}/d"
    for name in ("s", "o"):  # sticky is no excuse for a directory whose content is believed
        with pytest.raises(UntrustedError, match=f"{tmp_path}/{name} can be changed by"):
            trust.directory(f"{tmp_path}/{name}")
    with pytest.raises(UsageError, match="is not a directory"):
        trust.directory(f"{tmp_path}/p")


def test_no_descriptor_is_left_open(tmp_path):
    lay(tmp_path, [("d/", 0o755), ("d/p", 0o644), ("d/l -> p", None), ("bad", 0o666)])
    before = len(os.listdir("/proc/self/fd"))
    for name in ("d/p", "d/l", "bad", "none", "d", "d/p/x"):
        for call in (trust.read, trust.directory):
            try:
                call(f"{tmp_path}/{name}")
            except (UsageError, UntrustedError):
                continue
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_id_that_is_not_mapped_is_explained(monkeypatch, tmp_path):
    found = list(os.stat(tmp_path))
    found[4] = trust._OVERFLOW
    monkeypatch.setattr(trust, "_some_ids_unmapped", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(UntrustedError, match="may stand for any id"):
        trust._check_owner(os.stat_result(found), "/etc")


CAN_MOUNT = (
    ROOT
    and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
)

if CAN_MOUNT:

    def test_a_read_only_mount_excuses_the_mode(tmp_path):
        """A ConfigMap's directory is 0777 root:root without the sticky bit, mounted read-only."""
        lay(tmp_path, [("d/", 0o777), ("d/p", 0o666)])
        script = (
            "import sys; from converge.files import trust\n"
            "try: print(trust.read(sys.argv[1])[1].decode())\n"
            "except trust.UntrustedError: print('untrusted')\n"
        )
        read = [sys.executable, "-Ic", script, f"{tmp_path}/d/p"]
        mount = 'mount --bind $0 $0 && mount -o remount,bind,ro $0 && exec "$@"'
        inside = ["unshare", "-m", "sh", "-c", mount, f"{tmp_path}/d", *read]
        for argv, expected in ((read, "untrusted\n"), (inside, "content\n")):
            found = subprocess.run(argv, capture_output=True, text=True, check=True)
            assert found.stdout == expected
