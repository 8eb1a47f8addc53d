"""The kind `archive` against a fake root."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.provider import Spec, Unmanageable
from converge.state.notes import Notes
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan, snapshot
from providers.fake_tree import OTHER, TreeFixtures, differing, for_root, kept, mounted, obstacle
from providers.packing import Item, directory, hard, link, tar, zipped
from unit.web_server import Server, reply

TOOL = (
    directory("tool-1.0"),
    Item("tool-1.0/bin/tool", b"#!/bin/sh\n", mode=0o4755),
    Item("tool-1.0/README", b"read me", mode=0o666),
    link("tool-1.0/latest", "bin/tool"),
    hard("tool-1.0/copy", "tool-1.0/README"),
)


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def spec_of(**declared):
    if declared.get("state") != "absent" and "url" not in declared:
        declared.setdefault("source", "/tmp/tool.tar.gz")
    return make_spec("archive", **{"name": "/opt/tool", "strip": 1, **declared})


def found(folder) -> dict[str, str]:
    """Return what is below a directory: path → content, or what a link says."""
    paths = sorted(folder.rglob("*"))
    return {
        str(path.relative_to(folder)): f"-> {os.readlink(path)}"
        if path.is_symlink()
        else path.read_text()
        for path in paths
        if path.is_symlink() or path.is_file()
    }


EXTRACTED = {
    "README": "read me",
    "bin/tool": "#!/bin/sh\n",
    "copy": "read me",
    "latest": "-> bin/tool",
}


class ArchiveFixtures(TreeFixtures):
    kind = "archive"

    @pytest.fixture(autouse=True)
    def folders(self, root):
        for name in ("opt", "tmp"):
            (root / name).mkdir()
            (root / name).chmod(0o755)
        (root / "tmp/tool.tar.gz").write_bytes(tar(*TOOL, mode="w:gz"))


class TestContract(ArchiveFixtures, ProviderContract):
    @pytest.fixture
    def present(self, root) -> list[Spec]:
        (root / "tmp/b.zip").write_bytes(zipped(Item("x/y", b"z")))
        return [
            spec_of(owner="app", group="app"),
            spec_of(name="/opt/b", source="/tmp/b.zip", strip=0,
                    digest=sha((root / "tmp/b.zip").read_bytes())),
        ]  # fmt: skip

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(name=name, state="absent") for name in ("/opt/tool", "/opt/b")]


class TestExtraction(ArchiveFixtures):
    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    def test_tar(self, provider, system, root, mode):
        (root / "tmp/tool.tar.gz").write_bytes(tar(*TOOL, mode=mode))
        assert converge(provider, [spec_of()], system) == []
        assert found(root / "opt/tool") == EXTRACTED

    def test_zip(self, provider, system, root):
        (root / "tmp/tool.zip").write_bytes(zipped(*TOOL[:-1]))
        assert converge(provider, [spec_of(source="/tmp/tool.zip")], system) == []
        assert found(root / "opt/tool") == {k: v for k, v in EXTRACTED.items() if k != "copy"}
        assert (root / "opt/tool/bin/tool").stat().st_mode & 0o7777 == 0o755

    def test_two_streams_in_one_file(self, provider, system, root):
        """As `cat a.gz b.gz` and pigz make it."""
        import gzip

        whole = tar(*TOOL)
        halves = gzip.compress(whole[:1000]) + gzip.compress(whole[1000:])
        (root / "tmp/tool.tar.gz").write_bytes(halves)
        assert converge(provider, [spec_of()], system) == []
        assert found(root / "opt/tool") == EXTRACTED

    def test_large_and_sparse_files(self, provider, system, root):
        body = os.urandom(3 << 20)
        (root / "tmp/tool.tar.gz").write_bytes(tar(Item("a", body), Item("b", b""), mode="w:gz"))
        assert converge(provider, [spec_of(strip=0)], system) == []
        assert (root / "opt/tool/a").read_bytes() == body
        assert (root / "opt/tool/b").read_bytes() == b""

    @pytest.mark.parametrize("form", [0, 1, 2])
    def test_long_names(self, provider, system, root, form):
        name = "/".join(["d" * 50] * 4) if form else "d" * 90
        (root / "tmp/tool.tar.gz").write_bytes(tar(Item(name, b"1"), format=form))
        assert converge(provider, [spec_of(strip=0)], system) == []
        assert (root / "opt/tool" / name).read_bytes() == b"1"

    def test_the_long_name_of_a_sparse_file(self, provider, system, root):
        """As `tar --sparse --sparse-version=0.1` writes it: `path` says another name, and later."""
        file, info = io.BytesIO(), tarfile.TarInfo("GNUSparseFile.1/s")
        info.size = 3
        info.pax_headers = {
            "GNU.sparse.size": "3", "GNU.sparse.numblocks": "1", "GNU.sparse.name": "d/s",
            "GNU.sparse.map": "0,3", "path": info.name,
        }  # fmt: skip
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(info, io.BytesIO(b"abc"))
        (root / "tmp/tool.tar.gz").write_bytes(file.getvalue())
        assert converge(provider, [spec_of(strip=0)], system) == []
        assert found(root / "opt/tool") == {"d/s": "abc"}

    def test_a_zip_files_names_without_a_word_on_their_encoding(self, provider, system, root):
        """As Info-ZIP's zip writes them where the locale is C."""
        plain = zipped(Item("eXX", b"1")).replace(b"eXX", "e\u0301".encode())
        (root / "tmp/tool.zip").write_bytes(plain)
        assert converge(provider, [spec_of(source="/tmp/tool.zip", strip=0)], system) == []
        assert found(root / "opt/tool") == {"e\u0301": "1"}

    def test_modes_and_owner(self, provider, system, root):
        assert converge(provider, [spec_of(owner="app", group="app")], system) == []
        tool = (root / "opt/tool/bin/tool").stat()
        assert stat.S_IMODE(tool.st_mode) == 0o755
        assert stat.S_IMODE((root / "opt/tool/README").stat().st_mode) == 0o644
        assert stat.S_IMODE((root / "opt/tool/bin").stat().st_mode) == 0o755
        assert {path.lstat().st_uid for path in (root / "opt/tool").rglob("*")} == {OTHER}

    def test_without_an_owner_all_is_the_agents(self, provider, system, root):
        converge(provider, [spec_of()], system)
        assert {path.lstat().st_uid for path in (root / "opt/tool").rglob("*")} == {os.geteuid()}

    def test_into_a_directory_that_has_other_things(self, provider, system, root):
        (root / "opt/tool").mkdir()
        (root / "opt/tool").chmod(0o700)
        (root / "opt/tool/mine").write_text("mine")
        assert converge(provider, [spec_of()], system) == []
        assert found(root / "opt/tool") == {**EXTRACTED, "mine": "mine"}
        assert (root / "opt/tool").stat().st_mode & 0o777 == 0o700

    def test_what_is_replaced_is_backed_up(self, provider, system, root):
        (root / "opt/tool").mkdir()
        (root / "opt/tool/README").write_text("old")
        assert converge(provider, [spec_of()], system) == []
        assert kept(system) == {"/opt/tool/README": b"old"}

    def test_a_source_behind_a_link(self, provider, system, root):
        (root / "tmp/link").symlink_to("tool.tar.gz")
        assert converge(provider, [spec_of(source="/tmp/link")], system) == []

    def test_no_source(self, provider, system):
        with pytest.raises(BatchError, match="there is no /tmp/none"):
            converge(provider, [spec_of(source="/tmp/none")], system)

    def test_another_digest(self, provider, system, root):
        with pytest.raises(BatchError, match="has the digest sha256:"):
            converge(provider, [spec_of(digest=sha(b"x"))], system)
        assert not (root / "opt/tool").exists()


class TestInSync(ArchiveFixtures):
    def test_touches_and_reads_nothing(self, provider, system, root, monkeypatch):
        converge(provider, [spec_of()], system)
        before = snapshot(str(root))
        monkeypatch.setattr(FakeSystem, "digest", None)
        monkeypatch.setattr(type(system.read_only()), "digest", None)
        assert converge(provider, [spec_of()], system) == []
        assert snapshot(str(root)) == before

    @pytest.mark.parametrize(
        ("drift", "wrong"),
        [
            (lambda tool: (tool / "README").write_text("drifts"), "README"),
            (lambda tool: (tool / "README").write_text("READ ME"), "README"),
            (lambda tool: (tool / "README").unlink(), "README"),
            (lambda tool: (tool / "README").chmod(0o666), "README"),
            (
                lambda tool: ((tool / "latest").unlink(), (tool / "latest").symlink_to("x")),
                "latest",
            ),
            (lambda tool: ((tool / "copy").unlink(), (tool / "copy").symlink_to("README")), "copy"),
        ],
    )
    def test_drift_is_found_and_repaired(self, provider, system, root, drift, wrong):
        converge(provider, [spec_of()], system)
        kept_inode = (root / "opt/tool/bin/tool").stat().st_ino
        drift(root / "opt/tool")
        (change,) = plan(provider, [spec_of(force=True)], system)
        assert [(f.field, f.before) for f in change.fields] == [("wrong", (wrong,))]
        assert converge(provider, [spec_of(force=True)], system) == []
        assert found(root / "opt/tool") == EXTRACTED
        assert (root / "opt/tool/bin/tool").stat().st_ino == kept_inode, "only what differs"

    def test_a_file_whose_time_alone_has_changed_is_read_once(self, provider, system, root):
        """A layer of an image keeps whole seconds."""
        converge(provider, [spec_of()], system)
        os.utime(root / "opt/tool/README", (1, 1))
        assert plan(provider, [spec_of()], system) == []
        noted = system.notes.get("archive", "/opt/tool")["entries"]["README"]
        assert noted[2] == 1_000_000_000

    @for_root
    def test_another_owner(self, provider, system, root):
        converge(provider, [spec_of(owner="app")], system)
        os.chown(root / "opt/tool/README", 0, 0)
        assert differing(plan(provider, [spec_of(owner="app")], system)) == ["wrong"]
        assert converge(provider, [spec_of(owner="app")], system) == []

    def test_the_source_may_go_once_it_is_extracted(self, provider, system, root):
        converge(provider, [spec_of()], system)
        (root / "tmp/tool.tar.gz").unlink()
        assert plan(provider, [spec_of()], system) == []

    def test_what_other_resources_manage_is_theirs(self, provider, system, root):
        claimed = ["/opt/tool/README", "/opt/tool/", "/opt/toolbox"]
        spec = provider.adopt(spec_of(), claimed)
        assert spec.managed == ("/opt/tool/README",)
        (root / "opt/tool").mkdir()
        (root / "opt/tool/README").write_text("theirs")
        assert converge(provider, [spec], system) == []
        assert (root / "opt/tool/README").read_text() == "theirs"

    def test_creates_stands_for_a_note(self, provider, system, root):
        (root / "opt/tool").mkdir()
        spec = spec_of(creates="/opt/tool/README", digest=sha(b"whatever"))
        assert differing(plan(provider, [spec], system))
        (root / "opt/tool/README").touch()
        assert plan(provider, [spec], system) == []


class TestVersions(ArchiveFixtures):
    def test_a_new_source(self, provider, system, root):
        converge(provider, [spec_of()], system)
        (root / "tmp/tool.tar.gz").write_bytes(tar(Item("tool-2/README", b"two"), mode="w:gz"))
        (change,) = plan(provider, [spec_of()], system)
        assert [(f.field, f.before) for f in change.fields] == [("version", "outdated")]
        assert converge(provider, [spec_of()], system) == []
        assert (root / "opt/tool/README").read_text() == "two"
        assert (root / "opt/tool/bin/tool").exists(), "what is gone from the archive stays"

    def test_absent_removes_what_any_version_brought_and_nothing_else(self, provider, system, root):
        converge(provider, [spec_of()], system)
        (root / "tmp/tool.tar.gz").write_bytes(tar(Item("tool-2/new/a", b"two"), mode="w:gz"))
        converge(provider, [spec_of()], system)
        (root / "opt/tool/bin/mine").write_text("mine")
        (change,) = plan(provider, [spec_of(state="absent")], system)
        assert provider.deletions(change) == 7
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert found(root / "opt/tool") == {"bin/mine": "mine"}

    def test_another_strip(self, provider, system, root):
        converge(provider, [spec_of()], system)
        assert differing(plan(provider, [spec_of(strip=0)], system)) == ["strip"]
        assert converge(provider, [spec_of(strip=0)], system) == []
        assert (root / "opt/tool/tool-1.0/README").exists()

    def test_a_failure_in_the_middle_is_taken_up_again(self, provider, system, root, monkeypatch):
        real, calls = FakeSystem.write, []

        def write(self, path, *arguments, **options):
            calls.append(path)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            real(self, path, *arguments, **options)

        monkeypatch.setattr(FakeSystem, "write", write)
        with pytest.raises(BatchError, match="No space"):
            converge(provider, [spec_of()], system)
        assert differing(plan(provider, [spec_of()], system)) == ["version"]
        assert converge(provider, [spec_of()], system) == []
        assert calls.count("/opt/tool/bin/tool") == 1, "what holds is not written again"

    def test_notes_outlive_the_run(self, provider, system, root, tmp_path):
        from converge.state import directory as state

        kept = state.find(str(tmp_path / "notes"))
        first = FakeSystem(root, backups=system.backups, notes=lambda: Notes(kept))
        converge(provider, [spec_of()], first)
        first.keep_notes()
        assert plan(provider, [spec_of()], FakeSystem(root, notes=lambda: Notes(kept))) == []


class TestUrl(ArchiveFixtures):
    @pytest.fixture
    def server(self):
        body = tar(*TOOL, mode="w:gz")

        def answer(seen):
            if seen.headers.get("if-none-match") == '"1"':
                return reply(status="304 Not Modified")
            return reply(body, etag='"1"')

        with Server(answer) as server:
            server.digest = sha(body)
            yield server

    def test_with_a_digest(self, provider, system, root, server):
        spec = spec_of(url=server.url, digest=server.digest)
        assert converge(provider, [spec], system) == []
        system.notes.run.clear()
        assert plan(provider, [spec], system) == []
        assert len(server.seen) == 1
        assert found(root / "opt/tool") == EXTRACTED

    def test_without(self, provider, system, root, server):
        spec = spec_of(url=server.url)
        assert converge(provider, [spec], system) == []
        assert len(server.seen) == 1
        system.notes.run.clear()
        assert plan(provider, [spec], system) == []
        assert server.seen[1].headers["if-none-match"] == '"1"'
        server.answer = lambda _: reply(tar(Item("x/README", b"two")), etag='"2"')
        system.notes.run.clear()
        assert differing(plan(provider, [spec], system)) == ["version"]
        assert converge(provider, [spec], system) == []
        assert (root / "opt/tool/README").read_text() == "two"

    def test_the_server_is_away(self, provider, system, server):
        converge(provider, [spec_of(url=server.url)], system)
        server.answer = lambda _: reply(status="503 x", retry_after="0")
        system.notes.run.clear()
        answer = provider.inspect([spec_of(url=server.url)], system.read_only())["/opt/tool"]
        assert isinstance(answer, Unmanageable)
        assert "503" in answer.reason


class TestObstacles(ArchiveFixtures):
    def test_a_read_only_mount(self, provider, system, monkeypatch):
        mounted(system, monkeypatch, "/opt", read_only=True)
        assert "read-only" in obstacle(provider, system, spec_of()).reason

    @for_root
    def test_a_directory_of_another_user(self, provider, system, as_other):
        assert "may not write to /opt" in obstacle(provider, system, spec_of()).reason

    def test_giving_files_away(self, provider, system):
        system.capabilities = 0
        assert "CAP_CHOWN" in obstacle(provider, system, spec_of(owner="12345")).reason


class TestSpec:
    @pytest.mark.parametrize(
        ("declared", "attribute"),
        [
            ({}, "url"),
            ({"url": "https://a.example/x", "source": "/x"}, "source"),
            ({"source": "x.tar"}, "source"),
            ({"source": "/x", "strip": -1}, "strip"),
            ({"source": "/x", "max_files": 0}, "strip"),
            ({"source": "/x", "headers": {"A": "b"}}, "headers"),
            ({"source": "/x", "managed": ["/a"]}, "managed"),
        ],
    )
    def test_wrong(self, declared, attribute):
        from converge.language.models import validate

        data = {"name": "/opt/a", **declared}
        _, problems = validate(kinds.load("archive").spec, data)
        assert attribute in [place[0] for place, _ in problems]

    def test_what_goes_before(self):
        before = set(kinds.load("archive").depends(spec_of(owner="app")))
        assert {
            "directory:/opt", "directory:/opt/tool", "user:app", "file:/tmp/tool.tar.gz",
            "download:/tmp/tool.tar.gz",
        } <= before  # fmt: skip


class TestInterruption(ArchiveFixtures):
    def test_what_a_killed_run_staged_is_swept(self, provider, system, root):
        converge(provider, [spec_of()], system)
        staged = root / f"opt/tool/bin/.converge-{'0' * 32}.tmp"
        staged.touch()
        system.notes.put("archive", "/opt/tool", {})
        assert converge(provider, [spec_of()], system) == []
        assert not staged.exists()

    def test_into_the_root_it_claims_only_what_it_brings(self, provider):
        assert list(provider.claims(spec_of(name="/"))) == ["archive:/"]
        assert list(provider.claims(spec_of())) == ["path:/opt/tool/"]
