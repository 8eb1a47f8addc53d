"""File modes: what is accepted, what it suggests, and that it means what chmod(1) means."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from converge.files import modes


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("644", "0644"),
        ("0644", "0644"),
        ("0o644", "0644"),
        ("00644", "0644"),
        ("4755", "4755"),
        ("7", "0007"),
        ("0", "0000"),
        ("7777", "7777"),
        ("u=rw,go=r", "u=rw,go=r"),
        ("+x", "+x"),
        ("a-w,u+s,+t", "a-w,u+s,+t"),
        ("o=", "o="),
        ("ugo+X", "ugo+X"),
    ],
)
def test_canonical(written, canonical):
    assert modes.canonical(written) == canonical
    assert modes.canonical(canonical) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "",
        "rw",
        "888",
        "10000",
        "0x1ff",
        "-1",
        "u",
        "u=rw,",
        ",u=r",
        "u=rw go=r",
        "u=g",
        "u+r-w",
        "644\n",
    ],
)
def test_what_is_no_mode(written):
    with pytest.raises(ValueError, match=r"neither an octal mode|more than 7777"):
        modes.canonical(written)


@pytest.mark.parametrize(
    ("number", "meant"),
    [
        (644, "0644"),  # written as decimal 644
        (0o644, "0644"),  # 420: YAML 1.1 has read 0644
        (755, "0755"),
        (0o755, "0755"),
        (600, "0600"),
        (0o600, "0600"),
        (0, "0000"),
        (7, "0007"),
        (0o1777, "1777"),
        (0o4755, "4755"),
    ],
)
def test_suggestion(number, meant):
    assert modes.suggestion(number) == meant


def test_is_symbolic():
    assert modes.is_symbolic("u=rw")
    assert modes.is_symbolic("+x")
    assert not modes.is_symbolic("0644")


def test_octal_is_all_of_it():
    assert modes.apply("0755", 0o7000) == 0o755
    assert modes.apply("2755", 0, directory=True) == 0o2755


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("u+x", 0o644, 0o744),
        ("go-rwx", 0o755, 0o700),
        ("a=r", 0o755, 0o444),
        ("+X", 0o644, 0o644),
        ("+X", 0o744, 0o755),
        ("u=rwX,go=rX", 0o700, 0o755),
        ("u+s", 0o755, 0o4755),
        ("g-s", 0o2755, 0o755),
        ("u=rwx", 0o4755, 0o755),
        ("+t", 0o777, 0o1777),
        ("u=rw,g=r,o=", 0o777, 0o640),
    ],
)
def test_symbolic(mode, before, after):
    assert modes.apply(mode, before) == after
    assert modes.apply(mode, after) == modes.apply(mode, modes.apply(mode, after))


def test_the_file_type_is_no_part_of_it():
    assert modes.apply("u+x", stat.S_IFREG | 0o644) == 0o744


def test_what_is_wrong_is_an_error_here_too():
    with pytest.raises(ValueError, match="not a symbolic mode"):
        modes.apply("u+q", 0o644)


SYMBOLIC = [
    f"{who}{sign}{letters}"
    for who in ("", "u", "g", "o", "a", "ug")
    for sign in "+-="
    for letters in ("", "r", "wx", "X", "s", "t", "rwxst")
]
BEFORE = [0o0, 0o644, 0o755, 0o1777, 0o2770, 0o4711, 0o6750, 0o7777, 0o111, 0o4000]


@pytest.mark.parametrize("directory", [False, True])
def test_means_what_chmod_means(tmp_path, directory):
    """Every symbolic mode on every mode before, by one chmod(1) a symbolic mode."""
    paths = [tmp_path / f"{before:04o}" for before in BEFORE]
    for path in paths:
        path.mkdir() if directory else path.touch()
    differing = {}
    for mode in SYMBOLIC:
        for path, before in zip(paths, BEFORE, strict=True):
            os.chmod(path, before)
        subprocess.run(["chmod", "--", mode, *paths], check=True, umask=0)
        for path, before in zip(paths, BEFORE, strict=True):
            found = stat.S_IMODE(os.stat(path).st_mode)
            ours = modes.apply(mode, before, directory=directory)
            if ours != found:
                differing[mode, f"{before:o}"] = (f"{ours:o}", f"{found:o}")
    assert differing == {}
