"""`include: [system:…]` below a scratch root: lines, specifiers, precedence, what is not done."""

from __future__ import annotations

import os
import stat

import pytest

from converge import loading, systemd
from converge.commands import _read
from converge.config import Settings
from converge.errors import ProfileError
from converge.state import cache
from converge.system import System
from converge.systemd import words

LINES = (
    ("a b  c", 6, ["a", "b", "c"], ""),
    ("a b c d", 2, ["a", "b"], "c d"),
    ("'a b' \"c d\"e", 6, ["a b", "c de"], ""),
    (r"a\x20b \s \x2d \" \040c", 6, ["a b", " ", "-", '"', " c"], ""),
    (r"'a\'b'", 6, ["a'b"], ""),
    ("a ''", 6, ["a", ""], ""),
)


@pytest.mark.parametrize(("line", "most", "split", "rest"), LINES)
def test_words(line, most, split, rest):
    assert words.split(line, most) == (split, rest)


@pytest.mark.parametrize("line", ["'a", r"\q", "a\\", r"\x00", r"\400", r"\xff"])
def test_words_that_mean_nothing(line):
    with pytest.raises(ValueError):  # noqa: PT011
        words.split(line, 6)


@pytest.fixture
def machine(tmp_path):
    """Return a function that takes files and returns what the includes make of them, by id."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for folder in (tmp_path, root, root / "etc"):
        folder.chmod(0o755)

    def made(files, *names):
        write(root, files)
        return systemd.expand(names or systemd.NAMES, System(str(root)).read_only())

    made.root = root
    return made


def write(root, files):
    old = os.umask(0o022)
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.umask(old)


def attributes(found):
    hidden = ("tags",)
    return {
        name: {k: v for k, v in one.attributes.items() if k not in hidden}
        for name, one in found.items.items()
    }


TMPFILES = (
    ("d /srv/a", {"directory:/srv/a": {"parents": True}}, ""),
    (
        "d //srv/./a/ 755 0 0",
        {"directory:/srv/a": {"parents": True, "mode": "0755", "owner": "0", "group": "0"}},
        "",
    ),
    ("v /srv/a", {"directory:/srv/a": {"parents": True}}, ""),
    ("D /srv/a", {"directory:/srv/a": {"parents": True}}, "is not removed (`D`)"),
    ("d! /srv/a", {"directory:/srv/a": {"parents": True, "phase": ["bake", "start"]}}, ""),
    ("d- /srv/a", {"directory:/srv/a": {"parents": True, "on_unmanageable": "warn"}}, ""),
    ("d /etc/file", {}, "/etc/file is no directory, but a file: it is left alone"),
    ("d= /etc/file", {"directory:/etc/file": {"parents": True, "force": True}}, ""),
    ("d /etc/file/../x", {}, "no absolute path"),
    ("d relative", {}, "no absolute path"),
    ("d /etc/x 99", {}, "'99' is no mode"),
    ("f /etc/new - - - - a\\tb %%", {"file:/etc/new": {"content": "a\tb %", "replace": False}}, ""),
    ("f /etc/new", {"file:/etc/new": {}}, ""),
    ("f /etc/new - - - - -", {"file:/etc/new": {}}, ""),
    ("f+ /etc/file - - - - x", {"file:/etc/file": {"content": "x"}}, ""),
    ("F /etc/file", {"file:/etc/file": {"content": ""}}, ""),
    ("f~ /etc/new - - - - YQBi", {"file:/etc/new": {"content": "a\0b", "replace": False}}, ""),
    ("f~ /etc/new - - - - %%%", {}, "no text in Base64"),
    ("f^ /etc/new - - - - cred", {}, "credentials"),
    ("f+! /etc/new", {}, "safe at boot alone"),
    ("f /no/where", {"file:/no/where": {}, "directory:/no": {"parents": True}}, ""),
    ("L /etc/l - - - - t", {"symlink:/etc/l": {"target": "t"}}, ""),
    ("L /etc/file - - - - t", {}, ""),
    ("L+ /etc/file - - - - t", {"symlink:/etc/file": {"target": "t", "force": True}}, ""),
    ("L? /etc/l - - - - /no", {}, ""),
    ("L? /etc/l - - - - file", {"symlink:/etc/l": {"target": "file"}}, ""),
    (
        "C /etc/copy - - - - /etc/file",
        {"file:/etc/copy": {"content": "text", "replace": False, "mode": "0644"}},
        "",
    ),
    ("C /etc/file - - - - /etc/hosts", {}, ""),
    ("C /etc/copy - - - - /etc/none", {}, ""),
    ("z /etc/fi* 0600", {"file:/etc/file": {"mode": "0600"}}, ""),
    ("z /etc/{file,no} ~7755", {"file:/etc/file": {"mode": "0644"}}, ""),
    ("z /etc/none 0600", {}, ""),
    (
        "Z /etc/dir 0700 - 5",
        {
            "directory:/etc/dir": {
                "mode": "0700",
                "group": "5",
                "recurse": True,
                "file_mode": "0700",
                "directory_mode": "0700",
            }
        },
        "",
    ),
    ("Z /etc/dir ~0750", {"directory:/etc/dir": {"mode": "0750", "recurse": True}}, "alone (`Z`)"),
    (
        "e /etc/* 0700",
        {"directory:/etc/dir": {"mode": "0700"}, "directory:/etc/tmpfiles.d": {"mode": "0700"}},
        "",
    ),
    ("d /etc/dir :0700 :5 6", {"directory:/etc/dir": {"parents": True, "group": "6"}}, ""),
    (
        "d /etc/new :0700 :5 6",
        {"directory:/etc/new": {"parents": True, "mode": "0700", "owner": "5", "group": "6"}},
        "",
    ),
    ("d /var/run/x", {"directory:/run/x": {"parents": True}}, ""),
    ("d /srv/%m", {}, "%m: this machine has no id"),
    ("d /srv/%o-%w%W", {"directory:/srv/debian-12": {"parents": True}}, ""),
    ("d %t/%u%U", {"directory:/run/root0": {"parents": True}}, ""),
    ("d /srv/%j", {}, "%j is no specifier"),
    ("w /etc/file - - - - x", {}, "below /proc/sys alone"),
    (
        "w /proc/sys/vm/x - - - - 10",
        {
            "sysctl:vm/x": {
                "value": "10",
                "persist": False,
                "ignore_missing": True,
                "on_unmanageable": "warn",
            }
        },
        "",
    ),
    ("x /tmp/x", {}, ""),
    ("r /etc/file", {}, "nothing is removed (`r`)"),
    ("p /etc/pipe", {}, "a named pipe: not supported"),
    ("a+ /etc/file - - - - u:x:r", {}, "ACLs"),
    ("t /etc/file - - - - a=b", {}, "extended attributes"),
    ("k /etc/file", {}, "no line of tmpfiles.d(5)"),
    ("d", {}, "no line of tmpfiles.d(5)"),
    ("d '/etc/x", {}, "is not closed"),
    ("d /srv/a - - - 3d", {"directory:/srv/a": {"parents": True}}, "older than 3d is not removed"),
)


@pytest.mark.parametrize(("line", "made", "said"), TMPFILES)
def test_lines_of_tmpfiles(machine, line, made, said):
    (machine.root / "etc/dir").mkdir(mode=0o755)
    files = {
        "/etc/file": "text", "/etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "/proc/sys/vm/x": "1",
        "/etc/tmpfiles.d/a.conf": f"# x\n{line}\n", "/srv/x": "", "/run/x/y": "",
    }  # fmt: skip
    (machine.root / "run").mkdir()
    found = machine({k: v for k, v in files.items() if k != "/run/x/y"}, "tmpfiles")
    assert attributes(found) == made
    if said:
        assert found.notes[0].startswith("/etc/tmpfiles.d/a.conf:2:1: ")
        assert said in found.notes[0]
    assert len(found.notes) == bool(said)


def test_one_file_of_a_name_counts_and_one_line_of_a_path(machine):
    (machine.root / "etc/tmpfiles.d").mkdir()
    (machine.root / "etc/tmpfiles.d/c.conf").symlink_to("/dev/null")
    found = machine(
        {
            "/usr/lib/tmpfiles.d/a.conf": "d /srv/usr\n", "/etc/tmpfiles.d/a.conf": "d /srv/x 0700\n",
            "/run/tmpfiles.d/b.conf": "d /srv/x 0755\nz /srv/x 0750 7\nd /srv/x 0700\n",
            "/usr/lib/tmpfiles.d/b.conf": "d /srv/never\n", "/usr/lib/tmpfiles.d/c.conf": "d /srv/c\n",
            "/usr/lib/tmpfiles.d/README": "d /srv/d\n", "/srv/x/y": "",
        },
    )  # fmt: skip
    assert attributes(found) == {
        "directory:/srv/x": {"parents": True, "mode": "0750", "owner": "7"}
    }
    assert found.notes == [
        "/run/tmpfiles.d/b.conf:1:1: /srv/x is declared at /etc/tmpfiles.d/a.conf:1, which counts"
    ]


def test_a_file_that_others_could_write_is_left_out(machine):
    write(machine.root, {"/etc/tmpfiles.d/a.conf": "d /srv/x\n"})
    (machine.root / "etc/tmpfiles.d/a.conf").chmod(0o666)
    found = machine({})
    assert (found.items, "it is left out" in found.notes[0]) == ({}, True)


def test_a_whole_directory_is_copied(machine):
    files = {"/usr/share/factory/etc/d/a": "1", "/usr/share/factory/etc/d/s/b": "2"}
    found = machine({**files, "/etc/tmpfiles.d/a.conf": "C /etc/d 0700 8\n"})
    assert {name: one.get("mode") for name, one in attributes(found).items()} == {
        "directory:/etc/d": "0700", "file:/etc/d/a": "0644", "directory:/etc/d/s": "0755",
        "file:/etc/d/s/b": "0644",
    }  # fmt: skip
    assert {one["owner"] for one in attributes(found).values()} == {"8"}


PASSWD = "root:x:0:0::/root:/bin/sh\nthere:x:7:7::/:/bin/sh\n"
SYSUSERS = (
    (
        "u svc - 'A B' /srv /bin/sh",
        {
            "group:svc": {"system": True},
            "user:svc": {
                "system": True,
                "gid": "svc",
                "home": "/srv",
                "shell": "/bin/sh",
                "comment": "A B",
            },
        },
        "",
    ),
    (
        "u svc 9",
        {
            "group:svc": {"system": True, "gid": 9},
            "user:svc": {
                "system": True,
                "gid": "svc",
                "home": "/",
                "shell": "/usr/sbin/nologin",
                "uid": 9,
            },
        },
        "",
    ),
    (
        "u svc 9:there",
        {
            "user:svc": {
                "system": True,
                "gid": "there",
                "home": "/",
                "shell": "/usr/sbin/nologin",
                "uid": 9,
            }
        },
        "",
    ),
    ("u there 9", {"user:there": {}}, ""),
    ("g crew 7", {"group:crew": {"system": True}}, "the id 7 is another group's"),
    ("g crew x", {"group:crew": {"system": True}}, "'x' is no id"),
    (
        "m there crew",
        {"group:there": {}, "group:crew": {"system": True}, "user:there": {"groups": ["crew"]}},
        "",
    ),
    ("r - 500-900", {}, "a range of ids"),
    ("q x", {}, "no line of sysusers.d(5)"),
    ("u a - b c d e", {}, "more than 6 fields"),
)


@pytest.mark.parametrize(("line", "made", "said"), SYSUSERS)
def test_lines_of_sysusers(machine, line, made, said):
    group = "root:x:0:\nthere:x:7:\n"
    files = {"/etc/passwd": PASSWD, "/etc/group": group, "/usr/lib/sysusers.d/a.conf": line}
    found = machine(files, "sysusers")
    if "m there" in line:
        made = {key: one for key, one in made.items() if key != "group:there"}
    assert attributes(found) == made
    assert len(found.notes) == bool(said)
    assert said in "".join(found.notes)


def test_sysctl_the_last_file_counts_and_patterns_come_last(machine):
    keys = {
        f"/proc/sys/net/ipv4/conf/{name}/rp_filter": "0" for name in ("all", "eth0.1", "lo", "x")
    }
    found = machine(
        {
            **keys,
            "/usr/lib/sysctl.d/10.conf": "vm.swappiness = 10\n-kernel.y=2\n"
            "net.ipv4.conf.all.rp_filter=1\n",
            "/etc/sysctl.d/20.conf": "vm/swappiness=20 \n"
            "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.x.rp_filter\n",
            "/etc/sysctl.d/30.conf": "nonsense\n= 3\n; x\nnet.ipv4.conf.eth0/1.rp_filter = 0\n",
        },
        "sysctl",
    )
    assert {name: one["value"] for name, one in attributes(found).items()} == {
        "sysctl:vm/swappiness": "20", "sysctl:kernel/y": "2",
        "sysctl:net/ipv4/conf/all/rp_filter": "1", "sysctl:net/ipv4/conf/lo/rp_filter": "2",
        "sysctl:net/ipv4/conf/eth0.1/rp_filter": "0",
    }  # fmt: skip
    assert attributes(found)["sysctl:kernel/y"]["on_unmanageable"] == "skip"
    assert [note.partition(": ")[0] for note in found.notes] == [
        "/etc/sysctl.d/30.conf:1:1", "/etc/sysctl.d/30.conf:2:1",
    ]  # fmt: skip


def compiled(machine, tmp_path, text):
    profile = tmp_path / "p.yaml"
    profile.write_text(text)
    settings = Settings(profile=str(profile), root=str(machine.root))
    system = System(str(machine.root))
    return loading.compiled(settings, system, None, _read), settings, system


def test_the_profile_itself_counts_and_what_is_wrong_is_a_note(machine, tmp_path):
    write(
        machine.root,
        {
            "/etc/tmpfiles.d/a.conf": "d /srv/a 0700\nf /etc/x 0600\nd /etc/UP - Bad\n"
            "d /srv/{{t}} 0700\n",
            "/etc/sysctl.d/a.conf": "vm.swappiness = 1\n",
        },
    )  # fmt: skip
    catalog, _, _ = compiled(
        machine, tmp_path,
        "include: [system:tmpfiles, system:sysctl]\nresources:\n  - directory: /srv/a\n"
        "  - symlink: /etc/x\n    target: y\n  - sysctl: vm.swappiness\n    value: 5\n",
    )  # fmt: skip
    ids = {one.id: one for one in catalog.resources}
    assert set(ids) == {
        "directory:/srv/a",
        "symlink:/etc/x",
        "sysctl:vm.swappiness",
        "directory:/srv/{{t}}",
    }
    assert ids["directory:/srv/a"].whole_spec()["mode"] is None
    place = ids["directory:/srv/{{t}}"]
    assert (place.file, place.line, place.tags) == (
        "/etc/tmpfiles.d/a.conf",
        4,
        ("system:tmpfiles",),
    )
    notes = loading.told(catalog)
    assert len(notes) == 1
    assert notes[0].startswith("/etc/tmpfiles.d/a.conf:3:1: directory:/etc/UP: 'Bad' is neither")


def test_an_include_that_there_is_not(machine, tmp_path):
    with pytest.raises(
        ProfileError, match=r"there is no `system:tmpfile`.*there are `system:tmpfiles`"
    ):
        compiled(machine, tmp_path, "include: [system:tmpfile]\n")


def test_a_kept_catalog_is_good_until_something_changes(machine, tmp_path):
    path = machine.root / "etc/tmpfiles.d/a.conf"
    write(machine.root, {"/etc/tmpfiles.d/a.conf": "d /srv/a 0700\n"})
    catalog, settings, system = compiled(machine, tmp_path, "include: [system:tmpfiles]\n")

    class Store:
        path = "x"

        def read_json(self, _):
            return {"key": cache._plain(cache.key(settings, self)), "catalog": catalog.dump()}

    def kept():
        facts = loading.facts_of(settings, system)
        return cache.load(Store(), settings, facts, _read) is not None

    assert kept()
    path.write_text("d /srv/a 0750\n")
    assert not kept()
    path.write_text("d /srv/a 0700\n")
    assert kept()
    write(machine.root, {"/usr/lib/tmpfiles.d/b.conf": "d /srv/b\n"})
    assert not kept()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
