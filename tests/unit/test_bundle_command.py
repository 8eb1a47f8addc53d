"""`converge bundle`, and that minisign and converge read each other's keys and signatures."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest

from converge.bundle import minisign
from converge.bundle.command import main
from converge.errors import ConvergeError
from unit.bundles import folder

needs_minisign = pytest.mark.skipif(
    shutil.which("minisign") is None and not os.environ.get("CI"),
    reason="the program minisign is not installed (apt-get install minisign)",
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "web")
    return tmp_path


def keys(*names):
    for name in names:
        assert main(["keygen", "--secret", f"{name}.key", "--public", f"{name}.pub"]) == 0


def test_build_sign_verify(here, capsys):
    keys("one")
    assert stat.S_IMODE((here / "one.key").stat().st_mode) == 0o600
    main(["build", "web", "-o", "web.tar.gz", "--percent", "10"])
    main(["sign", "web.tar.gz", "--key", "one.key", "--sequence", "3"])
    main(["verify", "web.tar.gz", "--key", "one.pub", "--name", "web"])
    assert "name=web sequence=3 expires=" in capsys.readouterr().out
    main(["verify", "web.tar.gz", "--key", (here / "one.pub").read_text().splitlines()[1]])
    (here / "web.tar.gz").write_bytes((here / "web.tar.gz").read_bytes()[:-1] + b"x")
    with pytest.raises(ConvergeError, match="does not fit"):
        main(["verify", "web.tar.gz", "--key", "one.pub"])


def test_two_of_two_and_a_change_of_keys(here):
    keys("one", "two", "three")
    main(["build", "web", "-o", "web.tar.gz"])
    main(["sign", "web.tar.gz", "--key", "one.key"])
    main(["sign", "web.tar.gz", "--key", "two.key"])
    both = ["--key", "one.pub", "--key", "two.pub", "--threshold", "2"]
    main(["verify", "web.tar.gz", *both])
    old = ["--old", "one.pub", "--old", "two.pub", "--old-threshold", "2"]
    secret = ["--key", "one.key", "--key", "two.key", "--key", "three.key"]
    main(["rekey", "web.tar.gz.keys", *old, "--new", "three.pub", *secret])
    with pytest.raises(ConvergeError, match="0 of 1"):
        main(["verify", "web.tar.gz", *both])
    main(["sign", "web.tar.gz", "--key", "three.key", "--sequence", "2"])
    main(["verify", "web.tar.gz", *both])


def test_a_folder_that_is_not_there(here):
    with pytest.raises(ConvergeError, match="there is no directory wbe"):
        main(["build", "wbe", "-o", "wbe.tar.gz"])


def test_keys_are_never_overwritten(here):
    keys("one")
    with pytest.raises(ConvergeError, match="there already"):
        main(["keygen", "--secret", "one.key", "--public", "two.pub"])


def test_an_encrypted_key(here):
    (here / "password").write_text("correct horse\n")
    main(["keygen", "--secret", "k", "--public", "k.pub", "--password-file", "password"])
    main(["build", "web", "-o", "web.tar.gz"])
    main(["sign", "web.tar.gz", "--key", "k", "--password-file", "password"])
    with pytest.raises(ConvergeError, match="encrypted"):
        main(["sign", "web.tar.gz", "--key", "k"])
    with pytest.raises(ConvergeError, match="password is wrong"):
        minisign.secret_key((here / "k").read_text(), b"wrong")


@pytest.mark.parametrize(
    "words",
    [
        [], ["build"], ["build", "web"], ["build", "none", "-o", "x.tar.gz"],
        ["build", "web", "-o", "x.tar.gz", "--percent", "101"],
        ["build", "web", "-o", "x.tar.gz", "--over", "1h"],
        ["sign", "none", "--key", "none"], ["verify", "none", "--key", "none"],
    ],
)  # fmt: skip
def test_wrong_usage(here, words):
    with pytest.raises(ConvergeError):
        main(words)


@needs_minisign
def test_minisign_verifies_ours(here):
    keys("one")
    main(["build", "web", "-o", "web.tar.gz"])
    main(["sign", "web.tar.gz", "--key", "one.key", "--sequence", "3"])
    done = subprocess.run(
        ["minisign", "-Vm", "web.tar.gz", "-p", "one.pub"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "Trusted comment: name=web sequence=3" in done.stdout


@needs_minisign
def test_we_verify_minisign_s(here):
    call = {"check": True, "capture_output": True, "stdin": subprocess.DEVNULL}
    subprocess.run(["minisign", "-GW", "-p", "m.pub", "-s", "m.key"], **call)
    main(["build", "web", "-o", "web.tar.gz"])
    comment = "name=web sequence=9 expires=2099-01-01T00:00:00Z"
    subprocess.run(["minisign", "-Sm", "web.tar.gz", "-s", "m.key", "-t", comment], **call)
    main(["verify", "web.tar.gz", "--key", "m.pub", "--name", "web"])
    main(["sign", "web.tar.gz", "--key", "m.key", "--sequence", "10"])
    main(["verify", "web.tar.gz", "--key", "m.pub", "--name", "web"])


def test_signatures_of_other_content_are_not_built_on(here):
    keys("one", "two")
    main(["build", "web", "-o", "web.tar.gz"])
    for name in ("one", "two"):
        main(
            ["sign", "web.tar.gz", "--key", f"{name}.key", *(["--sequence", "3"] * (name == "one"))]
        )
    (here / "web/profile.yaml").write_text("resources: []  # other\n")
    main(["build", "web", "-o", "web.tar.gz"])
    main(["sign", "web.tar.gz", "--key", "one.key"])
    main(["verify", "web.tar.gz", "--key", "one.pub"])
    text = (here / "web.tar.gz.minisig").read_text()
    assert "sequence=3 " not in text, "the content is new, so is its sequence"
    assert len(minisign.signatures(text)) == 1


@pytest.mark.parametrize("name", ["one.key", "one.pub", "web.tar.gz.minisig"])
def test_what_is_no_text_is_told(here, name):
    keys("one")
    main(["build", "web", "-o", "web.tar.gz"])
    main(["sign", "web.tar.gz", "--key", "one.key"])
    (here / name).write_bytes(b"\xff\n" * 4)
    words = ["sign", "--key", "one.key"] if name == "one.key" else ["verify", "--key", "one.pub"]
    with pytest.raises(ConvergeError):
        main([words[0], "web.tar.gz", *words[1:]])


def test_a_file_that_cannot_be_read_is_told(here, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(ConvergeError, match="Permission denied"):
        main(["build", "web", "-o", "web.tar.gz"])
