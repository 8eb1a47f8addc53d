"""Addresses on the web: what is accepted, what may follow on what."""

from __future__ import annotations

import pytest

from converge.web import weblink


@pytest.mark.parametrize(
    "url",
    ["http://a.example", "HTTPS://A.example:8443/x?y=%20", "http://[::1]:80/", "http://10.0.0.1/"],
)
def test_accepted(url):
    assert weblink.check(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "only http and https"),
        ("file:///etc/shadow", "`file` URLs are not fetched"),
        ("a.example/x", "only http and https"),
        ("ftp://a.example/x", "`ftp`"),
        ("http:///x", "no host"),
        ("http://user:password@a.example/", "token"),
        ("http://a.example/#x", "fragment"),
        ("http://a.example/a b", "white space"),
        ("http://a.example/\r\nX: y", "white space"),
        ("http://a.example/ü", "ASCII"),
        ("http://a.example:99999/", "port"),
        ("http://a.example:x/", "port"),
        ("http://[::1/", "IPv6"),
    ],
)
def test_refused(url, why):
    with pytest.raises(ValueError, match=why):
        weblink.check(url)


def test_origins():
    assert weblink.origin("http://A.example./x") == ("http", "a.example", 80)
    assert weblink.origin("https://a.example") == ("https", "a.example", 443)


@pytest.mark.parametrize(
    ("first", "second", "own"),
    [
        ("http://a.example/x", "http://A.EXAMPLE:80/y", True),
        ("http://a.example/x", "https://a.example/x", True),
        ("http://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://a.example:444/x", False),
        ("https://a.example/x", "https://b.a.example/x", False),
    ],
)
def test_what_belongs_to_whom(first, second, own):
    assert weblink.is_own(first, second) == own


def test_what_is_listed_is_followed():
    first, target = "https://a.example/x", "https://cdn.example/y"
    assert weblink.redirect(first, first, target, ["https://cdn.example:443/other"]) == target
    with pytest.raises(ValueError, match=r"redirects: \[https://cdn\.example:8443\]"):
        weblink.redirect(first, first, "https://cdn.example:8443/y", ["https://cdn.example"])


def test_a_query_is_not_shown():
    assert weblink.shown("https://a.example/x?signature=1#y") == "https://a.example/x"


@pytest.mark.parametrize(
    ("url", "private"),
    [("https://a.example", True), ("http://a.example", False), ("http://127.0.0.1:8/x", True)],
)
def test_what_others_could_read(url, private):
    assert weblink.is_private(url) == private
