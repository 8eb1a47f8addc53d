"""Fetching over HTTP(S) from servers that behave, and from servers that do not."""

from __future__ import annotations

import gc
import gzip
import hashlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from converge.web import fetch
from converge.web.fetch import FetchError, Request
from converge.web.http_answer import refuse_link_local
from converge.web.transfer import THREAD
from faults.needs import need
from unit.web_server import TLS, Server, redirect, reply

CA = str(TLS / "ca.pem")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def get(server, path="/f", **request):
    return fetch.get(Request(url=server.url + path, **{"deadline": 20.0, **request}))


def refused(server, path="/f", **request) -> FetchError:
    with pytest.raises(FetchError) as caught:
        get(server, path, **request)
    return caught.value


def all_ended() -> bool:
    """Tell whether every connection was cut, so that no thread is left behind."""
    threads = [thread for thread in threading.enumerate() if thread.name == THREAD]
    for thread in threads:
        thread.join(20)
    return not any(thread.is_alive() for thread in threads)


class TestAnswers:
    def test_a_body(self):
        with Server(lambda _: reply(b"hello", etag='"1"', last_modified="Mon")) as server:
            answer = get(server, "/f?key=1")
        assert (answer.status, answer.body, answer.size) == (200, b"hello", 5)
        assert (answer.etag, answer.last_modified) == ('"1"', "Mon")
        assert answer.digest == digest(b"hello")
        assert server.seen[0].target == "/f?key=1"

    def test_what_is_sent(self):
        with Server() as server:
            get(server, token="s3cret", headers={"X-One": "1", "Accept": "text/plain"})
        headers = server.seen[0].headers
        assert headers["accept-encoding"] == "identity"
        assert headers["authorization"] == "Bearer s3cret"
        assert (headers["x-one"], headers["accept"]) == ("1", "text/plain")
        assert headers["user-agent"].startswith("converge/")

    def test_a_body_goes_to_a_file_from_its_beginning(self, tmp_path):
        with Server() as server, (tmp_path / "f").open("w+b") as file:
            file.write(b"something longer that was there")
            file.flush()
            answer = fetch.get(Request(url=server.url), file.fileno())
        assert (tmp_path / "f").read_bytes() == b"hello"
        assert answer.body == b""

    def test_a_body_that_is_not_kept(self):
        with Server() as server:
            answer = fetch.get(Request(url=server.url), keep=False)
        assert (answer.body, answer.digest) == (b"", digest(b"hello"))

    def test_a_chunked_body(self):
        pieces = [
            reply(content_length="", transfer_encoding="chunked"),
            b"3\r\nhel\r\n",
            b"2\r\nlo",
        ]
        with Server(lambda _: [*pieces, b"\r\n0\r\n\r\n"]) as server:
            assert get(server).body == b"hello"

    def test_a_condition_that_holds(self):
        with Server(lambda _: reply(status="304 Not Modified", etag='"2"')) as server:
            answer = get(server, etag='"1"', last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
        assert (answer.status, answer.body, answer.etag) == (304, b"", '"2"')
        assert server.seen[0].headers["if-none-match"] == '"1"'
        assert server.seen[0].headers["if-modified-since"] == "Mon, 01 Jan 2024 00:00:00 GMT"

    def test_unchanged_though_nothing_was_said_to_be_there(self):
        with Server(lambda _: reply(status="304 Not Modified")) as server:
            assert "answered 304" in str(refused(server))

    def test_the_declared_digest(self):
        with Server() as server:
            assert get(server, digest=digest(b"hello")).body == b"hello"
            error = refused(server, digest=digest(b"other"))
        assert f"sha256:{digest(b'hello')}, not sha256:{digest(b'other')}" in str(error)

    @pytest.mark.parametrize(
        ("status", "temporary"),
        [("404 Gone fishing \x1b[31m", False), ("401 x", False), ("503 x", True), ("500 x", True)],
    )
    def test_errors(self, status, temporary):
        with Server(lambda _: reply(b"secret", status)) as server:
            error = refused(server, "/f?key=secret")
        assert error.temporary == temporary
        assert status.split(" ")[0] in str(error)
        assert "secret" not in str(error)
        assert "\x1b" not in str(error)

    @pytest.mark.parametrize("status", ["201 Created", "204 No Content", "206 Partial", "300 x"])
    def test_other_successes_are_none(self, status):
        with Server(lambda _: reply(b"x", status)) as server:
            assert f"answered {status[:3]}" in str(refused(server))

    @pytest.mark.parametrize(
        ("said", "seconds"),
        [
            ("7", 7.0),
            ("999999999", 86400.0),
            ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
            ("soon", None),
        ],
    )
    def test_retry_after(self, said, seconds):
        with Server(lambda _: reply(status="503 x", retry_after=said)) as server:
            assert refused(server).retry_after == seconds


class TestTries:
    def test_what_fails_for_a_time_is_asked_again(self, tmp_path, monkeypatch):
        monkeypatch.setattr(fetch, "_PAUSE", 0.0)
        answers = iter([reply(b"half", content_length="9"), reply(status="503 x", retry_after="0")])

        def answer(_):
            return next(answers, reply(b"hello"))

        with Server(answer) as server, (tmp_path / "f").open("w+b") as file:
            request = Request(url=server.url, tries=3, deadline=20.0)
            fetch.get(request, file.fileno())
        assert (tmp_path / "f").read_bytes() == b"hello"
        assert len(server.seen) == 3

    @pytest.mark.parametrize(("status", "asked"), [("404 x", 1), ("503 x", 3)])
    def test_as_often_as_it_may(self, status, asked):
        with Server(lambda _: reply(status=status, retry_after="0")) as server:
            refused(server, tries=3)
        assert len(server.seen) == asked

    def test_not_beyond_the_deadline(self):
        with Server(lambda _: reply(status="503 x", retry_after="3600")) as server:
            assert refused(server, tries=3).retry_after == 3600
        assert len(server.seen) == 1

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/f?key=secret"
        with pytest.raises(
            FetchError, match=r"/f cannot be reached: Connection refused$"
        ) as caught:
            fetch.get(Request(url=url))
        assert caught.value.temporary

    def test_no_such_host(self):
        with pytest.raises(FetchError, match=r"^http://no\.such\.invalid/ cannot be reached: "):
            fetch.get(Request(url="http://no.such.invalid/"))


class TestHostileServers:
    """Each would hang, fill or mislead something that only reads until the end."""

    def test_where_no_thread_can_be_started(self, monkeypatch):
        def start(_thread):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(FetchError, match="can't start new thread") as caught:
                fetch.get(Request(url="http://127.0.0.1:9/"))
        assert caught.value.temporary

    def test_one_that_never_answers(self):
        def answer(_):
            server.closed.wait(20)
            return b""

        with Server(answer) as server:
            assert "no answer came in time" in str(refused(server, deadline=0.3))
            assert "no answer came in time" in str(refused(server, first=0.1))
            server.closed.set()

    def test_a_slow_loris_in_the_headers(self):
        def answer(_):
            yield b"HTTP/1.1 200 OK\r\nX: "
            while not server.closed.wait(0.02):
                yield b"x"

        with Server(answer) as server:
            assert "no answer came in time" in str(refused(server, deadline=0.3))
            assert all_ended()

    def test_a_slow_loris_in_the_body(self):
        def answer(_):
            yield reply(content_length="1000")
            while not server.closed.wait(0.02):
                yield b"x"

        with Server(answer) as server:
            error = refused(server, patience=0.2, min_rate=1000)
            assert "slower than 1000 bytes a second" in str(error)
            assert all_ended()

    def test_a_body_that_is_fast_enough_but_too_long_for_its_time(self):
        def answer(_):
            yield reply(content_length="100000000")
            while not server.closed.wait(0.01):
                yield b"x" * 1000

        with Server(answer) as server:
            error = refused(server, deadline=0.5, patience=0.2, min_rate=1, most_bytes=1 << 30)
            assert "did not end in time" in str(error)

    def test_endless_interim_answers(self):
        def answer(_):
            while not server.closed.is_set():
                yield b"HTTP/1.1 100 Continue\r\n\r\n"

        with Server(answer) as server:
            refused(server, deadline=0.5)
            assert all_ended()

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000,
            b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000,
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\r\n\r\n",
            b"",
            b"HTTP/1.1 99999999999999999999 x\r\n\r\n",
        ],
    )
    def test_no_answer_at_all(self, head):
        with Server(lambda _: head) as server:
            assert "localhost" in str(refused(server))

    def test_a_truncated_body(self):
        with Server(lambda _: reply(b"hel", content_length="5")) as server:
            assert refused(server).temporary

    @pytest.mark.parametrize(
        "piece", [b"", b"5\r\nhe", b"2\r\nhe\r\n", b"zz\r\n", b"-5\r\nhello\r\n"]
    )
    def test_a_broken_chunked_body(self, piece):
        head = reply(content_length="", transfer_encoding="chunked")
        with Server(lambda _: [head, piece]) as server:
            assert refused(server).temporary

    def test_a_body_of_unknown_length_needs_a_digest(self):
        with Server(lambda _: reply(b"hello", content_length="")) as server:
            assert "does not say how long" in str(refused(server))
            assert get(server, digest=digest(b"hello")).body == b"hello"

    @pytest.mark.parametrize("length", ["-1", "0x5", "five", "²"])
    def test_a_length_that_is_none(self, length):
        with Server(lambda _: reply(b"hello", content_length=length)) as server:
            refused(server)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_two_lengths(self):
        with Server(lambda _: reply(b"hello", content_length="5, 6")) as server:
            refused(server)
        gc.collect()  # urllib3 leaves the connection to the collector here

    def test_more_than_was_announced_is_not_taken(self):
        with Server(lambda _: reply(b"hello and more", content_length="5")) as server:
            assert get(server).body == b"hello"

    def test_an_announced_body_that_is_too_large_is_not_read(self):
        with Server(lambda _: reply(b"", content_length="999999999999")) as server:
            assert "larger than 1000 bytes" in str(refused(server, most_bytes=1000))

    def test_an_endless_body(self):
        def answer(_):
            yield reply(content_length="", transfer_encoding="chunked")
            while not server.closed.is_set():
                yield b"ff\r\n" + b"x" * 255 + b"\r\n"

        with Server(answer) as server:
            assert "larger than 100000 bytes" in str(refused(server, most_bytes=100000))
            assert all_ended()

    def test_a_compressed_body_that_was_not_asked_for(self):
        bomb = gzip.compress(bytes(10_000_000))
        with Server(lambda _: reply(bomb, content_encoding="gzip")) as server:
            assert "compressed" in str(refused(server))

    def test_a_link_local_address_behind_a_name(self):
        for host, peer in (
            ("evil.example", "169.254.169.254"),
            ("evil.example", "fe80::1%eth0"),
            ("evil.example", "::ffff:169.254.169.254"),
        ):
            with pytest.raises(FetchError, match="link-local"):
                refuse_link_local(host, peer)
        refuse_link_local("169.254.169.254", "169.254.169.254")
        refuse_link_local("localhost", "127.0.0.1")


class TestRedirects:
    def test_within_an_origin_headers_go_along(self):
        def answer(seen):
            return redirect("/g?x=1#here") if seen.target == "/f" else reply(b"hello")

        with Server(answer) as server:
            assert get(server, token="t", headers={"X-One": "1"}).body == b"hello"
        assert [seen.target for seen in server.seen] == ["/f", "/g?x=1"]
        assert server.seen[1].headers["authorization"] == "Bearer t"
        assert server.seen[1].headers["x-one"] == "1"

    @pytest.mark.parametrize(("hops", "fine"), [(3, True), (4, False)])
    def test_three_at_most(self, hops, fine):
        def answer(seen):
            left = int(seen.target[1:])
            return redirect(f"/{left - 1}", "308 x") if left else reply(b"hello")

        with Server(answer) as server:
            if fine:
                assert get(server, f"/{hops}").body == b"hello"
            else:
                assert "more than 3 times" in str(refused(server, f"/{hops}"))

    @pytest.mark.parametrize(
        "location",
        [
            "http://127.0.0.1:{port}/f",
            "http://169.254.169.254/latest/meta-data/",
            "http://[fe80::1]/",
            "https://localhost:{port}/f",
            "//evil.example/f",
            "file:///etc/shadow",
            "ftp://localhost/f",
            "gopher://localhost/f",
            "http://user:password@localhost:{port}/f",
            "http://localhost:99999/",
            "http://localhost:{port}/\x85",
        ],
    )
    def test_elsewhere_is_refused_and_not_asked(self, location):
        with Server(lambda _: redirect(location.format(port=server.port))) as server:
            error = refused(server)
        assert "is not followed" in str(error)
        assert len(server.seen) == 1

    def test_from_https_to_http_though_it_is_listed(self):
        with Server() as plain, Server(lambda _: redirect(plain.url), tls=True) as server:
            assert "from https" in str(refused(server, ca=CA, redirects=[plain.url]))
        assert plain.seen == []

    def test_to_a_listed_origin_nothing_private_goes_along(self):
        with Server() as other, Server(lambda _: redirect(other.url + "/g")) as server:
            answer = get(
                server, redirects=[other.url], token="s3cret", headers={"X-Key": "s3cret"},
                etag='"1"',
            )  # fmt: skip
        assert answer.body == b"hello"
        assert "s3cret" not in str(other.seen)
        assert "if-none-match" not in other.seen[0].headers


class TestTls:
    def test_a_server_of_the_named_authority(self):
        with Server(tls=True) as server:
            assert get(server, ca=CA).body == b"hello"

    def test_an_unknown_authority(self):
        with Server(tls=True) as server:
            error = refused(server, "/f?key=secret")
        assert "certificate is not accepted" in str(error)
        assert "ca_certificate" in error.remedy
        assert not error.temporary
        assert server.seen == []

    @pytest.mark.parametrize(
        ("now", "words"),
        [("-55y", "not yet valid"), ("+120y", "has expired")],
        ids=["early", "late"],
    )
    def test_by_a_clock_that_is_wrong_or_a_certificate_that_is_old(self, now, words, monkeypatch):
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        need(bool(libraries), "libfaketime is missing: apt-get install faketime")
        monkeypatch.setenv("LD_PRELOAD", str(libraries[0]))
        monkeypatch.setenv("FAKETIME", now)
        with Server(tls=True) as server:
            code = (
                "import sys; from converge.web import fetch\n"
                "fetch.get(fetch.Request(url=sys.argv[1], ca=sys.argv[2], deadline=20.0))"
            )
            argv = [sys.executable, "-I", "-c", code, server.url, CA]
            told = subprocess.run(argv, capture_output=True, text=True, check=False).stderr
        assert words in told
        assert "the clock here says" in told
        assert server.seen == []

    def test_another_name_than_the_certificates(self):
        with Server(tls=True) as server:
            server.url = f"https://127.0.0.2:{server.port}"
            server.seen.clear()
            with pytest.raises(FetchError):
                get(server, ca=CA)
        assert server.seen == []

    def test_no_tls_at_all(self):
        with Server(greeting=b"220 mail.example ESMTP\r\n") as server:
            server.url = server.url.replace("http:", "https:")
            assert "TLS failed" in str(refused(server, ca=CA))

    def test_the_clients_certificate(self):
        own = {"certificate": str(TLS / "client.pem"), "key": str(TLS / "client.key")}
        with Server(tls=True, client_ca=True) as server:
            assert get(server, ca=CA, **own).body == b"hello"
            refused(server, ca=CA)

    def test_files_that_are_not_there(self, tmp_path):
        with Server(tls=True) as server:
            assert "localhost" in str(refused(server, ca=str(tmp_path / "none")))
        assert server.seen == []


class TestEnvironment:
    def test_is_not_asked(self, monkeypatch, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", CA)
        monkeypatch.setenv("SSL_CERT_FILE", CA)
        (tmp_path / ".netrc").write_text("machine localhost login me password s3cret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        with Server() as server, Server(tls=True) as secure:
            assert get(server).body == b"hello"
            assert "authorization" not in server.seen[0].headers
            assert "not accepted" in str(refused(secure))

    def test_a_declared_proxy_is(self):
        with Server() as proxy:
            url = "http://inside.invalid/f"
            assert fetch.get(Request(url=url, proxy=proxy.url)).body == b"hello"
        assert proxy.seen[0].target == url
