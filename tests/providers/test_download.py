"""The kind `download` against a fake root and a server on loopback."""

from __future__ import annotations

import hashlib
import os

import pytest

from converge.errors import BatchError
from converge.programs.process import Completed
from converge.provider import Spec, Unmanageable
from converge.testing import ProviderContract, converge, make_spec, plan, snapshot
from providers.fake_tree import (
    OTHER,
    TreeFixtures,
    differing,
    for_root,
    kept,
    mounted,
    obstacle,
    refused,
)
from unit.web_server import TLS, Server, reply


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Site:
    """What the server gives, with an entity tag or without."""

    def __init__(self) -> None:
        self.body = b"hello"
        self.tagged = True

    def __call__(self, seen):
        tag = f'"{hashlib.md5(self.body).hexdigest()}"' if self.tagged else ""  # noqa: S324
        if tag and seen.headers.get("if-none-match") == tag:
            return reply(status="304 Not Modified", etag=tag)
        return reply(self.body, etag=tag)


class DownloadFixtures(TreeFixtures):
    kind = "download"

    @pytest.fixture
    def site(self):
        return Site()

    @pytest.fixture
    def server(self, site):
        with Server(site) as server:
            yield server

    @pytest.fixture
    def spec(self, server):
        """A function that declares /etc/a from the server."""

        def make(**declared):
            return make_spec("download", **{"name": "/etc/a", "url": f"{server.url}/a", **declared})

        return make


class TestContract(DownloadFixtures, ProviderContract):
    @pytest.fixture
    def present(self, spec) -> list[Spec]:
        return [
            spec(),
            spec(name="/etc/b", digest=sha(b"hello"), mode="0600", owner="app", group="app"),
        ]

    @pytest.fixture
    def absent(self, spec) -> list[Spec]:
        return [spec(name=name, state="absent") for name in ("/etc/a", "/etc/b")]


class TestWithDigest(DownloadFixtures):
    def test_fetches_once(self, provider, system, root, spec, server):
        declared = spec(digest=sha(b"hello"), mode="0640")
        assert converge(provider, [declared], system) == []
        assert (root / "etc/a").read_bytes() == b"hello"
        assert (root / "etc/a").stat().st_mode & 0o7777 == 0o640
        assert len(server.seen) == 1

    def test_in_sync_needs_no_network_and_touches_nothing(self, provider, system, root):
        (root / "etc/a").write_bytes(b"hello")
        declared = make_spec(
            "download", name="/etc/a", url="http://no.such.invalid/", digest=sha(b"hello")
        )
        before = snapshot(str(root))
        assert converge(provider, [declared], system) == []
        assert snapshot(str(root)) == before

    def test_drift_is_repaired_after_a_backup(self, provider, system, root, spec):
        (root / "etc/a").write_bytes(b"mine")
        (root / "etc/a").chmod(0o600)
        declared = spec(digest=sha(b"hello"))
        assert differing(plan(provider, [declared], system)) == ["digest"]
        assert converge(provider, [declared], system) == []
        assert kept(system) == {"/etc/a": b"mine"}
        assert (root / "etc/a").stat().st_mode & 0o7777 == 0o600

    def test_another_content_is_not_put_in_place(self, provider, system, root, spec):
        (root / "etc/a").write_bytes(b"mine")
        refused(provider, system, spec(digest=sha(b"other")), "has the digest sha256:2cf24dba")
        assert sorted(os.listdir(root / "etc")) == ["a", "group", "passwd"]

    def test_only_the_mode(self, provider, system, root, spec, server):
        (root / "etc/a").write_bytes(b"hello")
        assert converge(provider, [spec(digest=sha(b"hello"), mode="0600")], system) == []
        assert server.seen == []


class TestWithoutDigest(DownloadFixtures):
    def test_a_new_file_asks_nothing_until_it_is_made(self, provider, system, spec, server):
        assert differing(plan(provider, [spec()], system))
        assert server.seen == []
        assert converge(provider, [spec()], system) == []
        assert len(server.seen) == 1

    def test_the_server_is_asked_once_in_a_run_with_what_was_noted(
        self, provider, system, spec, server
    ):
        converge(provider, [spec()], system)
        system.notes.run.clear()  # the next run
        for _ in range(2):
            assert plan(provider, [spec()], system) == []
        assert len(server.seen) == 2
        assert server.seen[1].headers["if-none-match"].startswith('"')

    @pytest.mark.parametrize("tagged", [True, False])
    def test_a_new_version(self, provider, system, root, spec, site, tagged):
        site.tagged = tagged
        converge(provider, [spec()], system)
        site.body = b"hello again"
        system.notes.run.clear()
        (change,) = plan(provider, [spec()], system)
        assert [(f.field, f.before, f.after) for f in change.fields] == [
            ("version", "outdated", "current")
        ]
        assert converge(provider, [spec()], system) == []
        assert (root / "etc/a").read_bytes() == b"hello again"

    def test_a_server_that_has_no_tags_is_compared_by_content(self, provider, system, spec, site):
        site.tagged = False
        converge(provider, [spec()], system)
        system.notes.run.clear()
        assert plan(provider, [spec()], system) == []

    def test_a_file_that_was_changed_here(self, provider, system, root, spec, server):
        converge(provider, [spec()], system)
        (root / "etc/a").write_bytes(b"mine")
        system.notes.run.clear()
        assert differing(plan(provider, [spec()], system)) == ["version"]
        assert "if-none-match" not in server.seen[-1].headers

    def test_another_url_asks_without_the_old_tag(self, provider, system, spec, server):
        converge(provider, [spec()], system)
        system.notes.run.clear()
        other = spec(url=f"{server.url}/other")
        assert plan(provider, [other], system) == []
        assert "if-none-match" not in server.seen[-1].headers

    def test_without_notes_the_content_is_compared(self, provider, system, root, spec):
        (root / "etc/a").write_bytes(b"hello")
        assert plan(provider, [spec()], system) == []
        assert system.notes.get("download", "/etc/a")["etag"]

    def test_a_server_that_is_away(self, provider, system, root):
        (root / "etc/a").write_bytes(b"hello")
        declared = make_spec("download", name="/etc/a", url="http://127.0.0.1:9/", tries=1)
        found = provider.inspect([declared], system.read_only())["/etc/a"]
        assert isinstance(found, Unmanageable)
        assert "cannot be asked whether it changed: http://127.0.0.1:9/ cannot be" in found.reason
        assert "digest" in found.remedy

    def test_one_that_is_away_for_a_new_file(self, provider, system):
        declared = make_spec("download", name="/etc/a", url="http://127.0.0.1:9/", tries=1)
        refused(provider, system, declared, "cannot be reached")

    def test_replace_false_asks_nobody(self, provider, system, root, spec, server):
        (root / "etc/a").write_bytes(b"mine")
        assert plan(provider, [spec(replace=False)], system) == []
        assert server.seen == []


class TestTransfer(DownloadFixtures):
    def test_a_broken_transfer_changes_nothing(self, provider, system, root, spec, server):
        server.answer = lambda _: reply(b"hel", content_length="5")
        (root / "etc/a").write_bytes(b"mine")
        refused(provider, system, spec(digest=sha(b"hello"), tries=1), "hel|3 bytes|broke")

    def test_a_new_content_has_to_be_accepted(self, provider, system, root, spec):
        system.programs["check"] = lambda argv, stdin: Completed(
            argv=tuple(argv), code=1, out="", err="no"
        )
        with pytest.raises(BatchError, match="exit 1"):
            converge(provider, [spec(validate="/usr/bin/check %")], system)
        assert sorted(os.listdir(root / "etc")) == ["group", "passwd"]

    def test_a_token_and_headers(self, provider, system, server, spec):
        converge(provider, [spec(token="s3cret", headers={"X-Team": "ops"})], system)
        assert server.seen[0].headers["authorization"] == "Bearer s3cret"
        assert server.seen[0].headers["x-team"] == "ops"

    def test_secrets_by_reference(self, provider, system, server, spec, tmp_path):
        from converge.secrets import SecretError, Secrets

        (tmp_path / "token").write_text("s3cret\n")
        reference = {"file": f"{tmp_path}/token"}
        declared = spec(token=reference, headers={"X-Key": reference})
        converge(provider, [Secrets().fill(declared, system)], system)
        assert server.seen[0].headers["authorization"] == "Bearer s3cret"
        assert server.seen[0].headers["x-key"] == "s3cret"
        (tmp_path / "token").write_text("two\nlines")
        with pytest.raises(SecretError, match="one line of printable ASCII"):
            Secrets().fill(spec(token=reference), system)

    def test_tls_with_an_authority_of_its_own(self, provider, system, root):
        (root / "etc/ca.pem").write_bytes((TLS / "ca.pem").read_bytes())
        with Server(tls=True) as server:
            declared = {"name": "/etc/a", "url": f"{server.url}/a"}
            refused(provider, system, make_spec("download", **declared), "not accepted")
            assert (
                converge(provider, [make_spec("download", **declared, ca="/etc/ca.pem")], system)
                == []
            )

    def test_a_directory_in_the_way(self, provider, system, root, spec):
        (root / "etc/a").mkdir()
        refused(provider, system, spec(), "set `force: true`")
        assert converge(provider, [spec(force=True)], system) == []


class TestObstacles(DownloadFixtures):
    def test_a_read_only_mount(self, provider, system, monkeypatch, spec):
        mounted(system, monkeypatch, "/etc", read_only=True)
        assert "read-only" in obstacle(provider, system, spec()).reason

    def test_a_mount_point_is_written_in_place(self, provider, system, root, monkeypatch, spec):
        (root / "etc/a").write_bytes(b"mine")
        mounted(system, monkeypatch, "/etc/a")
        inode = (root / "etc/a").stat().st_ino
        assert obstacle(provider, system, spec()) is None
        assert converge(provider, [spec()], system) == []
        assert (root / "etc/a").stat().st_ino == inode

    @for_root
    def test_a_directory_of_another_user(self, provider, system, as_other, spec):
        assert str(OTHER) in obstacle(provider, system, spec()).reason


class TestSpec:
    @pytest.mark.parametrize(
        ("declared", "attribute"),
        [
            ({}, "url"),
            ({"url": "ftp://a.example/x"}, "url"),
            ({"url": "https://me:secret@a.example/x"}, "url"),
            ({"digest": "sha256:abc"}, "digest"),
            ({"digest": "md5:" + "0" * 32}, "digest"),
            ({"headers": {"Host": "x"}}, "headers"),
            ({"headers": {"A B": "x"}}, "headers"),
            ({"headers": {"A": "x\r\nB: y"}}, "headers"),
            ({"headers": {"A": " x"}}, "headers"),
            ({"url": "http://a.example/x", "token": {"file": "/t"}}, "token"),
            ({"token": ""}, "token"),
            ({"token": "gr\u00fcn"}, "token"),
            ({"certificate": "/c"}, "key"),
            ({"proxy": "socks5://a.example"}, "proxy"),
            ({"redirects": ["cdn.example"]}, "redirects"),
            ({"tries": 0}, "tries"),
            ({"max_bytes": 0}, "max_bytes"),
            ({"timeout": 0}, "timeout"),
            ({"validate": "check %"}, "validate"),
            ({"name": "/"}, "name"),
            ({"name": "etc/a"}, "name"),
        ],
    )
    def test_wrong(self, declared, attribute):
        from converge import kinds
        from converge.language.models import validate

        url = {"url": "https://a.example/x"} if declared else {}
        data = {"name": "/etc/a", **url, **declared}
        _, problems = validate(kinds.load("download").spec, data)
        assert attribute in [place[0] for place, _ in problems]

    def test_what_goes_before(self):
        spec = make_spec(
            "download", name="/opt/a/b", url="https://a.example/x", ca="/etc/ca.pem", owner="app",
        )  # fmt: skip
        from converge import kinds

        before = set(kinds.load("download").depends(spec))
        assert {"directory:/opt/a", "user:app", "file:/etc/ca.pem"} <= before
