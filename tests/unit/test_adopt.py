"""`converge adopt` below a scratch root: the YAML that it writes, and what it checks."""

from __future__ import annotations

import errno
import os

import pytest

from converge import kinds, loading
from converge.adoption import writing
from converge.cli import main
from converge.commands import _read
from converge.config import Settings
from converge.declared import Declared
from converge.language import yamlfile
from converge.system import System

TEXTS = (
    "", " ", "\n", "\n\n", "a", "a\n", "a\n\n", "\na", " a\nb", "a\n b\n", "\ta\n", "a\n\tb\n\n\n",
    "a\r\nb\r\n", "no", "Yes", "null", "~", "1", "0x1", "1e3", "- a", "a: b", "a #b", "'", '"', "\\",
    "{{ x }}", "{% if %}\n", "{# c #}\na\n", "{{ a }} {% endraw %}", "\n{{ a }}\n", "{{ a\r\n }}", "{",
    "{{", "}} {{ '\"' }}", "{% raw %}", "é\u2028x", "\x7f\x01", "\u202e", "\U0001f600\n", "a\n...\nb",
    "---\na\n", "%YAML\n%TAG\n", "# a\n# b\n", "a \nb\t\n", "*a", "&a", "!a", "@a", "`a", "|", ">\na",
    "a:", "https://x", "/etc/x", "a\n\n\n b", "\ufeffx", "\x85a\nb",
)  # fmt: skip


def resources_of(text, tmp_path):
    profile = tmp_path / "p.yaml"
    profile.write_text(text)
    settings = Settings(profile=str(profile))
    found = loading.compiled(settings, System(str(tmp_path)), None, _read, [])
    return {one.id: one.whole_spec() for one in found.resources}


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_comes_back_as_it_was(text, tmp_path):
    one = Declared(kind="file", name="/etc/x", attributes={"content": text})
    written = writing.profile("adopted", "a title", [one])
    assert resources_of(written, tmp_path)["file:/etc/x"]["content"] == text


def test_names_lists_and_mappings_come_back(tmp_path):
    name = "/etc/{{ a }}: #b"
    made = [
        Declared(kind="file", name=name, attributes={"mode": "0644"}, comments=("a\nb\x1b", "")),
        Declared(kind="user", name="ann", attributes={"groups": ["no", "adm"], "uid": 7}),
        Declared(
            kind="cron", name="j",
            attributes={"schedule": "@daily", "command": "x", "environment": {"A": "{{ 1 }}: 2"}},
        ),
        Declared(kind="file", name="/bad", reason="it is\nnot there\x1b"),
    ]  # fmt: skip
    text = writing.profile("adopted", "a\ntitle", made)
    found = resources_of(text, tmp_path)
    assert set(found) == {f"file:{name}", "user:ann", "cron:j"}
    assert found["user:ann"]["groups"] == ["no", "adm"]
    assert found["cron:j"]["environment"] == {"A": "{{ 1 }}: 2"}
    assert "\x1b" not in text


def test_nothing_is_a_profile_too():
    text = writing.profile("adopted", "t", [Declared(kind="file", name="/x", reason="gone")])
    assert yamlfile.load(text.encode(), "p").data == {"profile": "adopted", "resources": []}


@pytest.fixture
def adopt(tmp_path, capsys, monkeypatch):
    """Return a function that adopts below a scratch root and returns (code, resources, text, err)."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    monkeypatch.setenv("CONVERGE_STATE_DIR", str(tmp_path / "state"))

    def run(*words):
        before = os.umask(0o022)
        try:
            code = main(["adopt", *words, "--root", str(root)])
        finally:
            os.umask(before)
        out, err = capsys.readouterr()
        return code, resources_of(out, root) if out else {}, out, err

    run.root = root
    return run


def test_hosts_but_for_those_of_every_engine(adopt):
    hosts = "127.0.0.1 localhost\n10.0.0.1\tDB.site db # x\n::1 db.site\n10.0.0.2 a\n10.0.0.3 a b\n"
    (adopt.root / "etc/hosts").write_text(hosts)
    code, found, _, _ = adopt("host")
    assert code == 0
    assert {name: spec["ip"] for name, spec in found.items()} == {
        "host:DB.site": ["10.0.0.1", "::1"], "host:a": ["10.0.0.2", "10.0.0.3"],
    }  # fmt: skip
    assert adopt("host", "localhost")[1]["host:localhost"]["ip"] == ["127.0.0.1"]


def test_what_a_kind_cannot_say_is_a_comment(adopt):
    limits = adopt.root / "etc/security/limits.d"
    limits.mkdir(parents=True)
    (limits / "a.conf").write_text(
        "* hard nofile 5\n* hard nofile 6\nann - nice nonsense\n@x - nproc 9\n"
    )
    code, found, text, _ = adopt("limits")
    assert (code, list(found)) == (0, ["limits:@x - nproc"])
    assert "# limits:* hard nofile: the kind limits cannot declare it just as it is" in text
    assert "'nonsense' is no number" in text


def test_a_kind_whose_inspect_fails_is_a_comment(adopt, monkeypatch):
    def inspect(*_):
        raise OSError(errno.EIO, "Input/output error", "/etc/hosts")

    (adopt.root / "etc/hosts").write_text("10.0.0.1 db\n")
    monkeypatch.setattr(type(kinds.load("host")), "inspect", inspect)
    code, found, text, _ = adopt("host", "db")
    assert (code, found) == (1, {})
    assert "# host:db: it cannot be read: /etc/hosts: Input/output error" in text


def test_a_job_of_another_form_is_a_file(adopt):
    folder = adopt.root / "etc/cron.d"
    folder.mkdir()
    (folder / "foreign").write_text("# mine\n* * * * * root /usr/bin/x\n")
    (folder / "ours").write_text(
        "# Managed by converge.\nA='\"'\n@daily root /usr/bin/x \\%s {{ y }}\n"
    )
    for name in ("foreign", "ours"):
        (folder / name).chmod(0o644)
    _, found, _, _ = adopt("cron")
    assert set(found) == {"cron:ours", "file:/etc/cron.d/foreign"}
    assert found["cron:ours"]["command"] == "/usr/bin/x %s {{ y }}"
    assert found["cron:ours"]["environment"] == {"A": '"'}


def test_packages_that_came_by_name(adopt):
    dpkg, apt = adopt.root / "var/lib/dpkg", adopt.root / "var/lib/apt"
    dpkg.mkdir(parents=True), apt.mkdir()
    stanza = "Package: {}\nStatus: {} ok installed\nArchitecture: all\nVersion: 1:2\n\n"
    (dpkg / "status").write_text(
        stanza.format("a", "install") + stanza.format("b", "hold") + stanza.format("c", "install")
    )
    (apt / "extended_states").write_text("Package: c\nArchitecture: all\nAuto-Installed: 1\n")
    _, found, _, _ = adopt("package", "--versions")
    assert {n: (s["version"], s["hold"]) for n, s in found.items()} == {
        "package:a": ("1:2", None), "package:b": ("1:2", True),
    }  # fmt: skip


def test_apk_has_its_world(adopt):
    for path, text in (
        ("lib/apk/db/installed", "P:a\nV:1-r0\n\nP:b\nV:2-r0\n\n"),
        ("etc/apk/world", "a>1\n"),
    ):
        (adopt.root / path).parent.mkdir(parents=True)
        (adopt.root / path).write_text(text)
    assert list(adopt("package")[1]) == ["package:a"]


def test_mounts_are_those_of_fstab(adopt):
    (adopt.root / "etc/fstab").write_text(
        "# x\ntmpfs /a\\040b tmpfs size=1m,ro 0 0\n/srv /c none bind 0 0\nproc /d proc defaults\n"
    )
    _, found, _, _ = adopt("mount")
    brief = {name: (one["type"], one["options"], one["state"]) for name, one in found.items()}
    assert brief == {
        "mount:/a b": ("tmpfs", ["size=1m", "ro"], "present"),
        "mount:/c": ("bind", [], "present"), "mount:/d": ("proc", [], "present"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("usr",), "there is no kind `usr` (did you mean `user`?)"),
        ((), "which kind? (converge adopt KIND [NAME…]"),
        (("user", "--nonsense"), "unrecognized arguments"),
    ],
)
def test_wrong_words(adopt, words, said):
    code, _, out, err = adopt(*words)
    assert (code, out, said in err) == (1, "", True)


def test_paths_as_shells_complete_them(adopt):
    for name in ("/etc/", "//etc"):
        code, found, _, _ = adopt("directory", name)
        assert (code, set(found)) == (0, {"directory:/etc"})
    code, _, _, err = adopt("file", "etc/passwd")
    assert (code, err) == (1, "converge: file:etc/passwd: it is no absolute path\n")


def test_a_kind_that_cannot_tell_is_asked_by_name(adopt):
    code, found, text, _ = adopt("ca_certificate")
    assert (code, found, "cannot be listed" in text) == (0, {}, True)
    assert adopt("ca_certificate", "x")[0] == 1


def test_what_is_not_as_dpkg_left_it(adopt):
    import hashlib

    def md5(text):
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    stanza = "Package: a\nStatus: install ok installed\nVersion: 1\n"
    files = {
        "var/lib/dpkg/status": f"{stanza}Conffiles:\n /etc/conf {md5('old')}\n"
        f" /etc/gone {md5('')} obsolete\n"
        f" /etc/same {md5('same')}\nDescription: x\n\n",
        "var/lib/dpkg/info/a.list": "/.\n/etc/conf\n/etc/same\n"
        "/usr/bin/x\n/usr/bin/y\n/usr/share/z\n",
        "var/lib/dpkg/info/a.md5sums": f"{md5('x')}  usr/bin/x\n{md5('y')}  usr/bin/y\n"
        f"{md5('z')}  usr/share/z\n",
        "var/lib/dpkg/info/a.postinst": "cat > /etc/scripted <<X\nfrom the script\nX\n",
        "var/lib/dpkg/diversions": "/usr/bin/y\n/usr/bin/y.real\nb\n",
        "etc/conf": "new", "etc/same": "same", "usr/bin/x": "changed", "usr/bin/y": "diverted",
        "usr/share/z": "z", "etc/copied": "z", "etc/scripted": "from the script\n",
        "etc/mine/own": "own",
        "etc/ssl/certs/x.pem": "x", "etc/passwd": "", "etc/ld.so.cache": "x", "etc/x.dpkg-old": "x",
        "etc/systemd/system/multi-user.target.wants/x": "x", "etc/converge/profile.yaml": "x",
    }  # fmt: skip
    for name, text in files.items():
        (adopt.root / name).parent.mkdir(parents=True, exist_ok=True)
        (adopt.root / name).write_text(text)
    for path in adopt.root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    code, found, _, _ = adopt("--diff-image")
    assert code == 0
    assert {name for name in found if name.startswith("file")} == {
        "file:/etc/conf", "file:/usr/bin/x", "file:/etc/mine/own",
    }  # fmt: skip


def test_an_image_without_dpkg(adopt):
    code, found, text, _ = adopt("--diff-image")
    assert (code, found, "no database of dpkg" in text) == (0, {}, True)
    assert adopt("user", "--diff-image")[0] == 1
