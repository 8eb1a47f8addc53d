"""What the kinds that edit a part of a file have in common, shown by a kind that keeps a word in it."""

from __future__ import annotations

import os
from typing import Annotated

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.fields import Doc
from converge.language.models import validate
from converge.programs.process import Completed
from converge.provider import Unmanageable
from converge.reports.report import describe_change
from converge.testing import converge, make_spec, plan, snapshot
from converge_resources.parts import edit_files
from converge_resources.parts.edits import Edited, PartProvider, PartSpec, PartState
from converge_resources.parts.texts import EditError, decode, encode
from providers.fake_tree import OTHER, TreeFixtures, for_root, kept, mounted, obstacle, refused


class WordSpec(PartSpec):
    word: Annotated[str, Doc("A line.")]


class WordProvider(PartProvider[WordSpec]):
    kind = "word"
    spec = WordSpec

    def part(self, spec):
        return spec.word

    def wanted(self, spec):
        return PartState(content=f"{spec.word}\n".encode())

    def edit(self, spec, body):
        if spec.word == "never":
            raise EditError("it is never", "say when")
        lines = body.split("\n")
        if spec.state == "absent":
            body = "\n".join(line for line in lines if line != spec.word)
            return Edited(body=body, found=self.wanted(spec) if spec.word in lines else None)
        if spec.word in lines:
            return Edited(body=body)
        return Edited(body=body + "\n" * (body[-1:] not in ("", "\n")) + spec.word + "\n")


def word(text="x", **declared):
    spec, problems = validate(
        WordSpec, {"name": f"the word {text}", "path": "/etc/a", "word": text, **declared}
    )
    assert spec is not None, problems
    return spec


def wrong(**declared):
    _, problems = validate(WordSpec, {"name": "w", "path": "/etc/a", "word": "x", **declared})
    return [f"{'.'.join(map(str, place))}: {text}" for place, text in problems]


class Edits(TreeFixtures):
    @pytest.fixture
    def provider(self):
        return WordProvider()

    @pytest.fixture
    def file(self, root):
        path = root / "etc/a"
        path.write_text("one\n")
        return path


class TestFiles(Edits):
    def test_many_parts_of_one_file_are_one_write(self, provider, system, file, monkeypatch):
        written = []
        write = system.write
        monkeypatch.setattr(
            system, "write", lambda path, *a, **k: (written.append(path), write(path, *a, **k))
        )
        assert converge(provider, [word("b"), word("a"), word("c")], system) == []
        assert file.read_text() == "one\nb\na\nc\n"
        assert written == ["/etc/a"]

    def test_one_inspect_reads_a_file_once(self, provider, system, file, monkeypatch):
        read, reads = type(system.read_only()).read, []
        monkeypatch.setattr(
            type(system.read_only()),
            "read",
            lambda self, path, **k: (reads.append(path), read(self, path, **k))[1],
        )
        plan(provider, [word("a"), word("b"), word("one")], system)
        assert reads == ["/etc/a"]

    def test_in_sync_touches_nothing(self, provider, system, root, file):
        before = snapshot(str(root))
        assert plan(provider, [word("one"), word("two", state="absent")], system) == []
        assert converge(provider, [word("one")], system) == []
        assert snapshot(str(root)) == before

    def test_keeps_owner_mode_and_a_backup(self, provider, system, file):
        file.chmod(0o640)
        assert converge(provider, [word()], system) == []
        assert file.stat().st_mode & 0o7777 == 0o640
        assert kept(system) == {"/etc/a": b"one\n"}

    def test_without_backup(self, provider, system, file):
        assert converge(provider, [word(backup=False)], system) == []
        assert kept(system) == {}

    def test_one_bad_edit_stops_none_of_its_neighbours(self, provider, system, file, monkeypatch):
        changes = plan(provider, [word("a"), word("b"), word("c")], system)
        edit = WordProvider.edit

        def sometimes(self, spec, body):
            if spec.word == "b":
                raise EditError("not now")
            return edit(self, spec, body)

        monkeypatch.setattr(WordProvider, "edit", sometimes)
        with pytest.raises(BatchError) as error:
            provider.apply(changes, system)
        assert [*error.value.errors] == ["the word b"]
        assert file.read_text() == "one\na\nc\n"

    def test_what_the_edit_refuses_is_unmanageable(self, provider, system, file):
        found = provider.inspect([word("never"), word("one")], system.read_only())
        assert found["the word never"] == Unmanageable(reason="it is never", remedy="say when")
        assert isinstance(found["the word one"], PartState)

    def test_somebody_elses_change_in_between_is_not_lost(
        self, provider, system, file, monkeypatch
    ):
        changes = plan(provider, [word()], system)
        others = iter(["one\ntheirs\n"])
        edit = WordProvider.edit

        def slow(self, spec, body):
            for text in others:
                file.write_text(text)
            return edit(self, spec, body)

        monkeypatch.setattr(WordProvider, "edit", slow)
        provider.apply(changes, system)
        assert file.read_text() == "one\ntheirs\nx\n"

    def test_gives_up_where_somebody_keeps_changing_it(self, provider, system, file, monkeypatch):
        changes = plan(provider, [word()], system)
        edit = WordProvider.edit

        def busy(self, spec, body):
            with file.open("a") as stream:
                stream.write("more\n")
            return edit(self, spec, body)

        monkeypatch.setattr(WordProvider, "edit", busy)
        with pytest.raises(BatchError, match="someone else keeps changing it"):
            provider.apply(changes, system)
        assert "x" not in file.read_text().split("\n")


class TestMissing(Edits):
    def test_is_not_made_unasked(self, provider, system):
        refused(provider, system, word(), "there is no /etc/a .*`create: true`")

    def test_holds_no_part(self, provider, system, root):
        assert plan(provider, [word(state="absent", create=True)], system) == []

    def test_is_made(self, provider, system, root):
        assert converge(provider, [word("a"), word("b", create=True)], system) == []
        assert (root / "etc/a").read_text() == "a\nb\n"
        assert (root / "etc/a").stat().st_mode & 0o7777 == 0o644

    @for_root
    def test_is_made_with_owner_and_mode(self, provider, system, root):
        spec = word(create=True, mode="0640", owner="app", group="12")
        assert converge(provider, [spec], system) == []
        found = (root / "etc/a").stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (OTHER, 12, 0o640)

    def test_directory_is_named(self, provider, system):
        refused(
            provider, system, word(path="/srv/x/a", create=True), "the directory /srv is missing"
        )


class TestBytes(Edits):
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"", b"x\n"),
            (b"one", b"one\nx\n"),
            (b"one\r\n", b"one\r\nx\r\n"),
            (b"one\r\ntwo", b"one\r\ntwo\r\nx\r\n"),
            (b"one\r\ntwo\n", b"one\r\ntwo\nx\n"),
            (b"\xef\xbb\xbfone\n", b"\xef\xbb\xbfone\nx\n"),
            (b"caf\xe9\n\xff\xfe\n", b"caf\xe9\n\xff\xfe\nx\n"),
            (b"one\x0b\x0c\x1c\xe2\x80\xa8two\n", b"one\x0b\x0c\x1c\xe2\x80\xa8two\nx\n"),
            (b"one\rtwo\r", b"one\rtwo\r\nx\n"),
        ],
    )
    def test_are_kept(self, provider, system, file, old, new):
        file.write_bytes(old)
        assert converge(provider, [word()], system) == []
        assert file.read_bytes() == new

    @pytest.mark.parametrize(
        "data", [b"", b"a", b"\r\n", b"a\r\nb\r", b"a\nb\r\n", b"\xef\xbb\xbf"]
    )
    def test_round_trip(self, data):
        text = decode(data)
        assert encode(text, text.body) == data

    def test_binary_is_refused(self, provider, system, file):
        file.write_bytes(b"\x7fELF\0\0")
        found = provider.inspect([word("a"), word("b")], system.read_only())
        assert {each.reason for each in found.values()} == {
            "/etc/a is not a text: it holds NUL bytes"
        }

    def test_ten_megabytes(self, provider, system, file):
        file.write_bytes(b"0123456789abcde\n" * 655360)
        assert converge(provider, [word()], system) == []
        assert file.stat().st_size == 10 * 1024 * 1024 + 2


class TestPath(Edits):
    def test_trusted_link_is_followed_and_stays(self, provider, system, root, file):
        (root / "etc/link").symlink_to("a")
        specs = [word(path="/etc/link"), word("y")]
        assert converge(provider, specs, system) == []
        assert (root / "etc/link").is_symlink()
        assert file.read_text() == "one\nx\ny\n"

    def test_link_out_of_the_root_stays_inside(self, provider, system, root, file):
        (root / "etc/link").symlink_to("../../../etc/a")
        assert converge(provider, [word(path="/etc/link")], system) == []
        assert file.read_text() == "one\nx\n"

    @for_root
    def test_link_of_another_users_is_refused(self, provider, system, root, file):
        (root / "home").mkdir()
        (root / "home/link").symlink_to("/etc/a")
        os.chown(root / "home/link", OTHER, OTHER, follow_symlinks=False)
        os.chown(root / "home", OTHER, OTHER)
        found = provider.inspect([word(path="/home/link")], system.read_only())
        assert "could be moved by another user" in found["the word x"].reason
        assert file.read_text() == "one\n"

    def test_dangling_link(self, provider, system, root):
        (root / "etc/link").symlink_to("gone")
        spec = word(path="/etc/link", create=True)
        with pytest.raises(BatchError):
            provider.apply(plan(provider, [spec], system), system)
        assert not (root / "etc/gone").exists()

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_what_is_no_file(self, provider, system, root, make):
        make(root / "etc/a")
        found = provider.inspect([word()], system.read_only())["the word x"]
        assert found == Unmanageable(reason="cannot be read: not a regular file")

    def test_mount_is_written_in_place(self, provider, system, file, monkeypatch):
        inode = file.stat().st_ino
        mounted(system, monkeypatch, "/etc/a")
        assert converge(provider, [word()], system) == []
        assert file.read_text() == "one\nx\n"
        assert file.stat().st_ino == inode
        assert system.written_in_place == {"/etc/a"}

    def test_read_only_mount(self, provider, system, file, monkeypatch):
        mounted(system, monkeypatch, "/etc/a", read_only=True)
        assert obstacle(provider, system, word()).reason == "/etc/a is a read-only mount"

    def test_read_only_root(self, provider, system, file, monkeypatch):
        mounted(system, monkeypatch, "/", read_only=True)
        assert obstacle(provider, system, word()).reason == "/ is mounted read-only"
        spec = word(path="/etc/new", create=True)
        assert obstacle(provider, system, spec).reason == "/ is mounted read-only"

    @for_root
    def test_foreign_owner_needs_a_capability(self, provider, system, file):
        os.chown(file, OTHER, -1)
        system.capabilities = 0
        assert "needs CAP_CHOWN" in obstacle(provider, system, word()).reason


class TestValidate(Edits):
    def test_refusal_leaves_all(self, provider, system, root, file):
        spec, before = word(validate="/usr/bin/missing %"), os.listdir(root / "etc")
        with pytest.raises(BatchError, match="missing cannot be started"):
            provider.apply(plan(provider, [spec], system), system)
        assert (file.read_text(), os.listdir(root / "etc")) == ("one\n", before)

    def test_programs_of_all_parts_are_asked_once_each(self, provider, system, file):
        one, other = "/usr/bin/check -t %", ["/usr/bin/check", "-x", "%"]
        specs = [word("a", validate=one), word("b", validate=one), word("c", validate=other)]
        assert converge(provider, specs, system) == []
        assert [argv[1] for argv in system.ran] == ["-t", "-x"]

    def test_one_that_is_refused_stops_none_of_its_neighbours(self, provider, system, file):
        """`c` is accepted only once `d` is there."""

        def check(argv, stdin):
            with open(argv[1]) as staged:
                words = staged.read().split()
            wrong = "b" in words or ("c" in words and "d" not in words)
            return Completed(argv=argv, code=int(wrong), out="", err="no")

        system.programs["check"] = check
        specs = [word(one, validate="/usr/bin/check %") for one in "abcd"]
        with pytest.raises(BatchError) as error:
            provider.apply(plan(provider, specs, system), system)
        assert [*error.value.errors] == ["the word b"]
        assert "no" in str(error.value.errors["the word b"])
        assert file.read_text() == "one\na\nd\nc\n"


class TestShown(Edits):
    def told(self, provider, system, spec):
        (change,) = plan(provider, [spec], system)
        return describe_change(change, provider.hidden(change))

    def test_diff_is_one_of_the_path(self, provider, system, file):
        assert self.told(provider, system, word())["diff"] == (
            "--- /dev/null\n+++ b/etc/a\n@@ -0,0 +1 @@\n+x\n"
        )

    @pytest.mark.parametrize(
        "declared",
        [
            {"show_diff": False},
            {"path": "/etc/x.key", "create": True},
            {"path": "/etc/new", "create": True, "mode": "0600"},
        ],
    )
    def test_hidden(self, provider, system, file, declared):
        assert self.told(provider, system, word(**declared))["diff"] == ""

    def test_removal_counts_as_no_deletion(self, provider, system, file):
        (change,) = plan(provider, [word("one", state="absent")], system)
        assert (change.after, provider.deletions(change)) == (None, 0)


class TestSpec(Edits):
    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"name": " "}, "name: a title is needed"),
            ({"path": "/"}, "path: `/` is a directory"),
            ({"path": "etc/a"}, "path: 'etc/a' is not an absolute path"),
            ({"mode": "0644"}, "mode: `mode` is that of a file that is made: set `create: true`"),
            ({"validate": "true"}, "validate: the program is named by its absolute path"),
        ],
    )
    def test_wrong(self, declared, message):
        assert any(text.startswith(message) for text in wrong(**declared)), wrong(**declared)

    def test_links(self, provider):
        spec = word(create=True, owner="app")
        assert {"file:/etc/a", "symlink:/etc/a", "directory:/etc", "user:app"} <= {
            *provider.depends(spec)
        }
        assert [*provider.watches(spec)] == ["/etc/a"]
        assert [*provider.claims(spec)] == ["part:/etc/a\0word x"]


def test_apply_of_nothing(tmp_path):
    edit_files.apply([], None, lambda spec: None, lambda spec, body: body)


class TestSecrets(TreeFixtures):
    """A spec as a run has it: the template's mark in the part, the value beside it."""

    MARK = "\ufdd0key\ufdd1"

    @pytest.mark.parametrize(
        ("kind", "declared", "old", "new"),
        [
            ("line", {"content": f"key {MARK}"}, "", "key s\\1\n"),
            (
                "line", {"content": rf"\1{MARK}", "regexp": "^(k )a", "backrefs": True},
                "k a\n", "k s\\1\n",
            ),
            ("block", {"content": f"a\n{MARK}\n", "marker": "{mark}"}, "", "BEGIN\na\ns\\1\nEND\n"),
            ("ini", {"key": "k", "value": ["a", f"={MARK}"]}, "", "k = a\nk = =s\\1\n"),
            ("json", {"key": "k", "value": [MARK]}, '{"a": 1}', '{"a": 1, "k": ["s\\\\1"]}'),
            ("yaml", {"key": "k", "value": {"a": [1, MARK]}}, "", 'k:\n  a:\n    - 1\n    - "s\\\\1"\n'),
        ],
    )  # fmt: skip
    def test_are_put_in_and_never_shown(self, system, root, kind, declared, old, new):
        (root / "etc/a").write_text(old)
        provider = kinds.load(kind)
        spec = make_spec(
            kind, name="x", path="/etc/a", secrets={"key": "s\\1"}, show_diff=True, **declared
        )
        (change,) = plan(provider, [spec], system)
        assert "s\\" not in str(describe_change(change, provider.hidden(change)))
        assert converge(provider, [spec], system) == []
        assert (root / "etc/a").read_text() == new

    def test_a_file_that_is_made_is_its_owners(self, system, root):
        spec = make_spec(
            "ini", name="x", path="/etc/a", key="k", value=self.MARK, secrets={"key": "v"},
            create=True,
        )  # fmt: skip
        assert converge(kinds.load("ini"), [spec], system) == []
        assert (root / "etc/a").stat().st_mode & 0o7777 == 0o600

    @pytest.mark.parametrize("exists", [True, False])
    def test_one_of_several_lines_has_no_place_in_a_line(self, system, root, exists):
        if exists:
            (root / "etc/a").touch()
        spec = make_spec(
            "line", name="x", path="/etc/a", content=self.MARK, secrets={"key": "a\nb"}
        )
        found = kinds.load("line").inspect([spec], system.read_only())["x"]
        assert found.reason == "the secret 'key' has several lines, and there is place for one"

    def test_one_that_is_not_used(self):
        spec = kinds.load("line").spec
        declared = {"name": "x", "path": "/etc/a", "content": "x", "secrets": {"key": "v"}}
        assert validate(spec, declared)[1] == [
            (("secrets",), "`{{ secrets.key }}` is not in the part; a filter cannot be applied")
        ]
