"""The kind `tidy` against a fake root."""

from __future__ import annotations

import os
import socket

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.language import protect
from converge.provider import Spec, Unmanageable
from converge.testing import ProviderContract, converge, make_spec, plan, snapshot
from providers.fake_tree import OTHER, TreeFixtures, for_root, kept, mounted, obstacle

NOW = 4_000_000_000  # later than any file's own time of change
DAY = 86400


def spec_of(**declared):
    if "size" not in declared:
        declared.setdefault("age", "7d")
    return make_spec("tidy", **{"name": "/var/x", **declared})


def left(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class TidyFixtures(TreeFixtures):
    kind = "tidy"

    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch):
        monkeypatch.setattr("time.time", lambda: NOW)

    @pytest.fixture
    def folder(self, root):
        path = root / "var/x"
        path.mkdir(parents=True)
        for one in (root / "var", path):
            one.chmod(0o755)
        return path

    @pytest.fixture
    def make(self, folder):
        """make(path, days, size): a file, or with a slash at its end a directory, so many days old."""

        def make(path, days=30, size=1):
            at = folder / path
            at.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                at.mkdir(exist_ok=True)
            else:
                at.write_bytes(bytes(size))
            for one in (at, *at.parents):
                if folder in one.parents:
                    os.utime(one, (NOW - days * DAY,) * 2)
            return at

        return make

    def test_it_starts_empty(self, folder):
        assert left(folder) == []


class TestContract(TidyFixtures, ProviderContract):
    @pytest.fixture
    def present(self, make) -> list[Spec]:
        make("old")
        make("sub/large", size=2000)
        return [spec_of(), spec_of(name="/var/x/sub", size="1k")]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return []

    def test_round_trip(self, system, present, make):
        """Nothing can be declared absent; what comes again goes again."""
        provider = kinds.load(self.kind)
        for _ in range(2):
            assert converge(provider, present, system) == []
            make("old")


class TestCriteria(TidyFixtures):
    def test_age(self, provider, system, folder, make):
        make("new", days=6)
        make("old", days=8)
        make("exact", days=7)
        assert converge(provider, [spec_of()], system) == []
        assert left(folder) == ["new"]

    @pytest.mark.parametrize(
        ("age", "days"),
        [("691200s", 8), ("11520m", 8), ("192h", 8), ("8d", 8), ("1w", 7), ("0s", 0)],
    )
    def test_units(self, provider, system, folder, make, age, days):
        make("older", days=days + 0.01)
        make("younger", days=days - 0.01)
        converge(provider, [spec_of(age=age)], system)
        assert left(folder) == ["younger"]

    @pytest.mark.parametrize(("size", "bytes_"), [("2048b", 2048), ("2k", 2048), ("1m", 1 << 20)])
    def test_size(self, provider, system, folder, make, size, bytes_):
        make("large", size=bytes_)
        make("small", size=bytes_ - 1)
        assert converge(provider, [spec_of(size=size)], system) == []
        assert left(folder) == ["small"]

    @pytest.mark.parametrize(
        ("criteria", "stay"), [("any", ["neither"]), ("all", ["neither", "large", "old"])]
    )
    def test_both(self, provider, system, folder, make, criteria, stay):
        make("old", days=30, size=1)
        make("large", days=1, size=2000)
        make("both", days=30, size=2000)
        make("neither", days=1, size=1)
        converge(provider, [spec_of(age="7d", size="1k", criteria=criteria)], system)
        assert left(folder) == sorted(stay)

    def test_matches(self, provider, system, folder, make):
        for name in ("a.log", "b.log.1", "c.txt", ".log"):
            make(name)
        make("sub/d.log")
        converge(provider, [spec_of(matches=["*.log", "*.log.?"], recurse=True)], system)
        assert left(folder) == ["c.txt", "sub"]

    @pytest.mark.parametrize("which", ["atime", "mtime"])
    def test_which_time(self, provider, system, folder, make, which):
        old, new = NOW - 30 * DAY, NOW
        os.utime(make("read"), (new, old))
        os.utime(make("written"), (old, new))
        converge(provider, [spec_of(time=which)], system)
        assert left(folder) == (["read"] if which == "atime" else ["written"])

    def test_the_time_of_change_cannot_be_set_by_anyone(self, provider, system, folder, make):
        make("old")
        assert plan(provider, [spec_of(time="ctime", age="100000w")], system) == []
        assert converge(provider, [spec_of(time="ctime")], system) == []
        assert left(folder) == []


class TestWhere(TidyFixtures):
    @pytest.mark.parametrize(
        ("recurse", "stay"),
        [
            (False, ["a", "a/2", "a/b", "a/b/3"]),
            (1, ["a", "a/2", "a/b", "a/b/3"]),
            (2, ["a", "a/b", "a/b/3"]),
            (3, ["a", "a/b"]),
            (True, ["a", "a/b"]),
        ],
    )
    def test_depth(self, provider, system, folder, make, recurse, stay):
        for path in ("1", "a/2", "a/b/3"):
            make(path)
        assert converge(provider, [spec_of(recurse=recurse)], system) == []
        assert left(folder) == stay

    def test_directories_that_are_old_and_left_empty(self, provider, system, folder, make):
        make("empty/")
        make("old/deep/file")
        make("young/file", days=1)
        make("mixed/old")
        make("mixed/young", days=1)
        os.utime(folder / "mixed", (1, 1))
        assert converge(provider, [spec_of(recurse=True, rmdirs=True)], system) == []
        assert left(folder) == ["mixed", "mixed/young", "young", "young/file"]

    def test_directories_beyond_the_depth_go_only_if_they_are_empty(
        self, provider, system, folder, make
    ):
        make("empty/")
        make("full/file")
        assert converge(provider, [spec_of(rmdirs=True)], system) == []
        assert left(folder) == ["full", "full/file"]

    def test_the_directory_itself_stays(self, provider, system, folder, make):
        os.utime(folder, (1, 1))
        assert plan(provider, [spec_of(rmdirs=True)], system) == []

    def test_one_file(self, provider, system, folder, make):
        make("log", size=5000)
        assert plan(provider, [spec_of(name="/var/x/log", size="10k")], system) == []
        assert converge(provider, [spec_of(name="/var/x/log", size="4k")], system) == []
        assert left(folder) == []

    def test_one_file_has_to_match_too(self, provider, system, folder, make):
        make("log", size=5000)
        spec = spec_of(name="/var/x/log", size="4k", matches=["*.gz"])
        assert plan(provider, [spec], system) == []
        assert converge(provider, [spec.replace(matches=["l*"])], system) == []
        assert left(folder) == []

    def test_what_is_not_there_is_tidy(self, provider, system):
        assert plan(provider, [spec_of(name="/no/such")], system) == []

    def test_mounts_are_not_crossed_nor_is_what_holds_them(
        self, provider, system, folder, make, monkeypatch
    ):
        make("a/mounted/file")
        make("a/file")
        mounted(system, monkeypatch, "/var/x/a/mounted")
        assert converge(provider, [spec_of(recurse=True, rmdirs=True)], system) == []
        assert left(folder) == ["a", "a/mounted", "a/mounted/file"]

    def test_links_are_removed_not_followed(self, provider, system, folder, root, make):
        (root / "precious").mkdir()
        (root / "precious/file").write_text("1")
        (folder / "link").symlink_to("/precious")
        (folder / "other").symlink_to("../../precious/file")
        assert converge(provider, [spec_of(age="0s", recurse=True, rmdirs=True)], system) == []
        assert left(folder) == []
        assert (root / "precious/file").exists()

    def test_sockets_and_pipes_stay(self, provider, system, folder, monkeypatch):
        os.mkfifo(folder / "pipe")
        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
        assert plan(provider, [spec_of(age="0s", recurse=True)], system) == []

    def test_what_other_resources_manage_stays(self, provider, system, folder, make):
        make("managed")
        make("sub/managed")
        make("tree/file")
        make("old")
        claimed = ["/var/x/managed", "/var/x/sub/managed", "/var/x/tree/", "/var/xy"]
        spec = provider.adopt(spec_of(recurse=True, rmdirs=True), claimed)
        assert converge(provider, [spec], system) == []
        assert left(folder) == ["managed", "sub", "sub/managed", "tree", "tree/file"]

    def test_the_agents_own_state_in_tmp_stays(self, provider, system, root):
        own = root / f"tmp/converge-{os.geteuid()}"
        own.mkdir(parents=True)
        (own / "report.json").touch()
        assert (
            plan(provider, [spec_of(name="/tmp", age="0s", recurse=True, rmdirs=True)], system)
            == []
        )

    def test_too_many_to_look_at(self, provider, system, make):
        make("1"), make("2"), make("3")
        answer = provider.inspect([spec_of(max_files=2)], system.read_only())["/var/x"]
        assert isinstance(answer, Unmanageable)
        assert "raise `max_files`" in answer.remedy


class TestApply(TidyFixtures):
    def test_counts_as_deletions(self, provider, system, make):
        make("1"), make("a/2")
        (change,) = plan(provider, [spec_of(recurse=True, rmdirs=True)], system)
        assert change.before.found == ("a/2", "a", "1")
        assert provider.deletions(change) == 3

    def test_backups_only_if_asked_for(self, provider, system, make):
        make("1")
        converge(provider, [spec_of()], system)
        assert kept(system) == {}
        make("1")
        converge(provider, [spec_of(backup=True)], system)
        assert kept(system) == {"/var/x/1": b"\0"}

    def test_what_was_used_meanwhile_stays(self, provider, system, folder, make):
        make("1"), make("2")
        changes = plan(provider, [spec_of()], system)
        os.utime(folder / "1", (NOW, NOW))
        (folder / "2").unlink()
        provider.apply(changes, system)
        assert left(folder) == ["1"]
        assert plan(provider, [spec_of()], system) == []

    def test_a_directory_that_was_filled_meanwhile_stays(self, provider, system, folder, make):
        make("a/")
        changes = plan(provider, [spec_of(rmdirs=True)], system)
        (folder / "a/new").touch()
        with pytest.raises(BatchError, match="/var/x/a is no longer empty"):
            provider.apply(changes, system)
        assert left(folder) == ["a", "a/new"]

    @for_root
    def test_a_directory_that_became_a_link_is_not_followed(
        self, provider, system, folder, root, make
    ):
        make("a/1")
        (root / "precious").mkdir()
        os.utime(make("../../precious/1"), (1, 1))
        changes = plan(provider, [spec_of(recurse=True)], system)
        os.rename(folder / "a", folder / "b")
        (folder / "a").symlink_to("/precious")
        os.lchown(folder / "a", OTHER, -1)
        system.forget()
        with pytest.raises(BatchError, match="could be moved by another user"):
            provider.apply(changes, system)
        assert (root / "precious/1").exists()

    def test_a_dry_run_touches_nothing(self, provider, system, root, make):
        make("1")
        before = snapshot(str(root))
        assert plan(provider, [spec_of()], system)
        assert snapshot(str(root)) == before


class TestObstacles(TidyFixtures):
    def test_a_read_only_mount(self, provider, system, make, monkeypatch):
        make("1")
        mounted(system, monkeypatch, "/var", read_only=True)
        assert "read-only" in obstacle(provider, system, spec_of()).reason

    @for_root
    def test_another_users_directory(self, provider, system, make, as_other):
        os.seteuid(0)
        make("1")
        os.seteuid(65534)
        assert "may not write to /var/x" in obstacle(provider, system, spec_of()).reason

    @for_root
    def test_another_users_file_in_a_sticky_directory(
        self, provider, system, folder, make, as_other
    ):
        os.seteuid(0)
        make("1")
        folder.parent.parent.chmod(0o755)
        folder.chmod(0o1777)
        os.seteuid(65534)
        system.capabilities = 0
        assert "sticky" in obstacle(provider, system, spec_of()).reason


class TestSpec:
    @pytest.mark.parametrize(
        ("declared", "attribute"),
        [
            ({}, "age"),
            ({"age": "7"}, "age"),
            ({"age": "7 days"}, "age"),
            ({"size": "10"}, "size"),
            ({"age": "7d", "criteria": "all"}, "criteria"),
            ({"age": "7d", "recurse": 0}, "recurse"),
            ({"age": "7d", "max_files": 0}, "max_files"),
            ({"age": "7d", "managed": ["/x"]}, "managed"),
        ],
    )
    def test_wrong(self, declared, attribute):
        from converge.language.models import validate

        _, problems = validate(kinds.load("tidy").spec, {"name": "/var/x", **declared})
        assert attribute in [place[0] for place, _ in problems]

    @pytest.mark.parametrize(
        "name", ["/", "/etc", "/usr/bin", "/usr/lib/x", "/proc", "/dev/shm", "/opt/converge/x"]
    )
    def test_protected(self, name):
        assert protect.problem("tidy", None, name, {}, ["/opt/converge"])

    def test_above_the_agent_only_without_recursion(self):
        own = ["/opt/converge", "/var/lib/converge", f"/tmp/converge-{os.geteuid()}"]
        assert protect.problem("tidy", None, "/opt", {"recurse": True}, own)
        assert protect.problem("tidy", None, "/opt", {}, own) is None
        assert protect.problem("tidy", None, "/tmp", {"recurse": True}, own) is None
