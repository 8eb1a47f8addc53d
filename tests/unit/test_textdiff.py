"""What is shown of values and texts from outside."""

from __future__ import annotations

import pytest

from converge.textdiff import escaped, shown, unified


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain ü 漢", "plain ü 漢"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\r", "a\\nb\\r"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\ud800", "\\ud800"),
        ("\0", "\\x00"),
    ],
)
def test_nothing_reaches_the_terminal_raw(text, safe):
    assert escaped(text) == safe


def test_values_become_plain_data():
    assert shown(b"a\x1b") == "a\\x1b"
    assert shown(("x", b"y", 3, None)) == ["x", "y", 3, None]
    assert shown(True) is True


def test_a_unified_diff():
    assert unified("/etc/motd", b"a\nb\n", b"a\nc\n") == (
        "--- a/etc/motd\n+++ b/etc/motd\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    )


def test_a_new_file_and_a_missing_newline():
    text = unified("/x", None, b"a")
    assert text.startswith("--- /dev/null\n+++ b/x\n")
    assert "+a ⏎ no newline at the end" in text


@pytest.mark.parametrize("data", [b"\0", b"\xff\xfe", b"x" * (2 << 20)])
def test_what_is_no_text_is_only_sized(data):
    assert (
        unified("/x", b"", data) == f"Binary contents of /x differ (0 bytes → {len(data)} bytes)\n"
    )


def test_a_long_diff_is_cut():
    new = b"".join(b"%d\n" % i for i in range(2000))
    text = unified("/x", b"", new)
    assert text.endswith("more lines\n")
    assert text.count("\n") == 401


def test_escapes_in_a_diff():
    assert "+\\x1b[2J" in unified("/x", b"", b"\x1b[2J\n")
