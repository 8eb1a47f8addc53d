"""Sources of profiles: URLs, logins, tokens, and what a registry or web server answers."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.metadata import EntryPoint

import pytest

from converge import sources
from converge.config import Settings, is_remote
from converge.errors import ConvergeError, UsageError
from converge.sources import Source, SourceError, asking
from converge.sources.oci import OciSource
from converge.sources.web import WebSource
from converge.web.fetch import FetchError
from unit.web_server import Server, reply

BUNDLE, SIGNATURES = b"a bundle", b"signatures"


@pytest.mark.parametrize(
    ("profile", "remote"),
    [
        ("/etc/converge/profile.yaml", False), ("profile.yaml", False), ("a://b", True),
        ("https://x/y", True), ("/odd://name", False), ("C:\\x", False),
    ],
)  # fmt: skip
def test_what_is_a_url(profile, remote):
    assert is_remote(profile) is remote


def test_an_unknown_scheme_names_those_that_there_are():
    with pytest.raises(UsageError, match="no source is known for `gopher://`") as raised:
        sources.load("gopher://x/y")
    assert "etcd, etcds, http, https, oci" in str(raised.value)


class PlugIn(Source):
    """A source of another distribution."""

    def fetch(self, tag):
        return None


def test_another_distribution_may_bring_a_source(monkeypatch):
    entry = EntryPoint("consul", f"{__name__}:PlugIn", "converge.sources")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry])
    assert sources.load("consul://x/y") is PlugIn


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/web.tar.gz", "web"), ("https://h/web.yaml?token=x", "web"),
        ("https://h/a/web/", "web"), ("https://h/web.tgz", "web"),
    ],
)  # fmt: skip
def test_the_name_that_a_bundle_must_have(url, name):
    assert PlugIn(url, Settings()).name == name


def test_every_built_in_source_can_be_loaded():
    for scheme in sources.BUILT_IN:
        assert issubclass(sources.load(f"{scheme}://x/y"), Source)


def test_a_token_is_not_sent_without_tls(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    settings = Settings(token_file=str(tmp_path / "token"))
    with pytest.raises(UsageError, match="without TLS"):
        asking.request(settings, "http://example.org/web.yaml")
    assert asking.request(settings, "https://example.org/x").token == "secret"
    assert asking.request(settings, "http://127.0.0.1:1/x").token == "secret"


def test_credentials_in_a_url_are_refused():
    with pytest.raises(UsageError, match="credentials"):
        asking.request(Settings(), "https://user:password@example.org/x")


class TestWeb:
    def test_what_is_asked(self):
        with Server(lambda seen: reply(BUNDLE, etag='"1"')) as server:
            source = WebSource(f"{server.url}/a/web.tar.gz?v=1", Settings())
            fetched = source.fetch("")
            assert [s.target for s in server.seen] == [
                "/a/web.tar.gz?v=1", "/a/web.tar.gz.minisig?v=1", "/a/web.tar.gz.keys?v=1",
            ]  # fmt: skip
        assert not fetched.single
        assert fetched.tag == '"1"\n'
        assert fetched.signed.signatures == BUNDLE.decode()

    def test_an_answer_without_a_tag_is_asked_for_anew(self):
        with Server(lambda seen: reply(BUNDLE)) as server:
            source = WebSource(f"{server.url}/web.yaml", Settings(unsigned=True))
            assert source.fetch("").tag == ""
            assert len(server.seen) == 1

    def test_unsigned_over_plain_http_never(self):
        with pytest.raises(UsageError, match="neither encrypted nor signed"):
            WebSource("http://example.org/web.yaml", Settings(unsigned=True)).fetch("")

    def test_keys_that_cannot_be_had_are_no_missing_keys(self):
        def answer(seen):
            broken = seen.target.endswith(".keys")
            return reply(b"", status="500 Oops") if broken else reply(BUNDLE)

        with Server(answer) as server, pytest.raises(FetchError, match="500"):
            WebSource(f"{server.url}/web.tar.gz", Settings()).fetch("")


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """A registry with one artifact. `wants` says how it asks for a login; `given` is what it got."""

    def __init__(self, wants="", layers=None):
        self.wants = wants
        self.given = []
        self.blobs = {digest(data): data for data in (BUNDLE, SIGNATURES)}
        titles = {"web.tar.gz": BUNDLE, "web.tar.gz.minisig": SIGNATURES}
        self.manifest = json.dumps(
            {
                "layers": layers
                if layers is not None
                else [
                    {"digest": digest(data),
                     "annotations": {"org.opencontainers.image.title": title}}
                    for title, data in titles.items()
                ]
            }
        ).encode()  # fmt: skip

    def __call__(self, seen):
        given = seen.headers.get("authorization", "")
        self.given.append((seen.target.partition("?")[0], given))
        if seen.target.startswith("/token"):
            assert "scope=repository%3Aops%2Fweb%3Apull" in seen.target
            return reply(b'{"token": "abc"}')
        if self.wants and not given:
            return reply(b"", status="401 No", www_authenticate=self.wants)
        if "/manifests/" in seen.target:
            return reply(self.manifest, docker_content_digest=digest(self.manifest))
        return reply(self.blobs[seen.target.rpartition("/")[2]])


def oci(server, reference=":stable", **settings):
    return OciSource(f"oci://localhost:{server.port}/ops/web{reference}", Settings(**settings))


class TestOci:
    def test_by_tag_and_by_digest(self):
        registry = Registry()
        with Server(registry) as server:
            fetched = oci(server).fetch("")
            assert fetched.signed.content == BUNDLE
            assert fetched.signed.signatures == SIGNATURES.decode()
            assert fetched.tag == digest(registry.manifest)
            assert oci(server, f"@{fetched.tag}").fetch("").tag == fetched.tag
            assert oci(server).name == "web"

    def test_news_are_asked_for_by_one_head(self):
        registry = Registry()
        with Server(registry) as server:
            assert oci(server).fetch(digest(registry.manifest)) is None
            assert len(server.seen) == 1
            assert oci(server, f"@{digest(registry.manifest)}").fetch(
                digest(registry.manifest)
            ) is None  # fmt: skip
            assert len(server.seen) == 1, "what is pinned is never news"

    def test_a_manifest_with_another_digest(self):
        with Server(Registry()) as server, pytest.raises(SourceError, match="with the digest"):
            oci(server, "@sha256:" + "0" * 64).fetch("")

    def test_a_blob_with_another_content(self):
        registry = Registry()
        registry.blobs[digest(BUNDLE)] = b"evil"
        with Server(registry) as server, pytest.raises(FetchError, match="has the digest"):
            oci(server).fetch("")

    @pytest.mark.parametrize(
        "layers", [[], [{}], "x", [{"digest": "md5:x", "annotations": {
            "org.opencontainers.image.title": "web.tar.gz"}}]],
    )  # fmt: skip
    def test_what_is_no_artifact_of_ours(self, layers):
        with Server(Registry(layers=layers)) as server, pytest.raises(SourceError):
            oci(server).fetch("")

    def test_a_token_without_a_login(self):
        with Server() as server:
            server.answer = registry = Registry(f'Bearer realm="{server.url}/token",service="r"')
            oci(server).fetch("")
        assert ("/token", "") in registry.given
        assert registry.given[-1][1] == "Bearer abc"

    def test_a_login_by_password(self, tmp_path):
        (tmp_path / "login").write_text("me:secret\n")
        with Server() as server:
            server.answer = registry = Registry(f'Bearer realm="{server.url}/token",service="r"')
            oci(server, token_file=str(tmp_path / "login")).fetch("")
        basic = "Basic " + base64.b64encode(b"me:secret").decode()
        assert ("/token", basic) in registry.given
        assert [given for path, given in registry.given if path.startswith("/v2")][1:] == [
            "Bearer abc"
        ] * 3

    def test_a_password_is_not_sent_to_another_origin(self, tmp_path):
        (tmp_path / "login").write_text("me:secret\n")
        login = {"token_file": str(tmp_path / "login")}
        with Server() as thief, Server() as server:
            thief.answer = lambda seen: reply(b'{"token": "abc"}')
            server.answer = Registry(f'Bearer realm="{thief.url}/token"')
            with pytest.raises(SourceError, match="sends its logins to"):
                oci(server, **login).fetch("")
            assert not thief.seen
            oci(server, **login, redirects=(thief.url,)).fetch("")
            assert thief.seen[0].headers["authorization"].startswith("Basic ")

    def test_basic(self, tmp_path):
        (tmp_path / "login").write_text("me:secret")
        with Server(Registry('Basic realm="x"')) as server:
            oci(server, token_file=str(tmp_path / "login")).fetch("")
            with pytest.raises(SourceError, match="wants a login"):
                oci(server).fetch("")

    def test_a_registry_that_is_not_satisfied(self):
        with Server() as server:
            wants = f'Bearer realm="{server.url}/token"'
            server.answer = lambda seen: (
                reply(b'{"token": "abc"}') if seen.target.startswith("/token")
                else reply(b"", status="401 No", www_authenticate=wants)
            )  # fmt: skip
            with pytest.raises(FetchError, match="401"):
                oci(server).fetch("")
            assert len(server.seen) == 3

    @pytest.mark.parametrize(
        "url",
        ["oci://h", "oci://h/UPPER", "oci://h/a b", "oci://h/a@sha256:1", "oci://h/a:" + "t" * 129],
    )
    def test_urls_that_make_no_sense(self, url):
        with pytest.raises(ConvergeError, match="is not oci://"):
            OciSource(url, Settings())
