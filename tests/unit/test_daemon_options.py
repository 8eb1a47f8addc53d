"""What the supervisor is told at its start, and by whoever reads the settings again."""

from __future__ import annotations

import os

import pytest

from converge.config import Settings
from converge.daemon.options import Options, dump, memory_file
from converge.worker import settings_of

FULL = {
    "runtime": "/run/converge", "state": "/var/lib/conv=erge", "events": "off",
    "log_format": "json", "log_to": "syslog", "listen": "unix:/x", "program": "/usr/bin/python3",
    "interval": 0.5, "splay": -1, "deadline": 60, "poll": 2.5, "ready": 7, "beside": 12,
    "run_now": 0, "watch": 1,
}  # fmt: skip


def test_all_come_through():
    found = Options(dump(FULL, b"{}"))
    assert {name: getattr(found, name) for name in FULL} == FULL


def test_what_is_not_said_has_a_default():
    found = Options(dump({"program": "/p"}, b""))
    assert (found.interval, found.deadline, found.poll, found.splay) == (1800, 3600, 10, -1)
    assert (found.events, found.state, found.listen, found.ready) == ("on", "", "", -1)


def test_the_settings_are_handed_on_unread():
    settings = b'{"settings": {"vars": {"x": "\xff\\n\\n"}}}\n\ninterval=1\n'
    blob = dump(FULL, settings)
    assert Options(blob).blob == blob
    assert blob.partition(b"\n\n")[2] == settings
    assert Options(blob).interval == 0.5


def test_the_settings_come_back_as_they_were(tmp_path):
    from converge import resident

    flags = {"vars": {"a": [1, "ü\n\n"]}, "tags": ["x", "y"], "state_dir": str(tmp_path / "s"),
             "runtime_dir": str(tmp_path / "r"), "root": str(tmp_path), "interval": 5.0}  # fmt: skip
    blob = resident.options(flags)
    settings, kept = settings_of(blob)
    assert isinstance(settings, Settings)
    assert settings.vars == {"a": [1, "ü\n\n"]}
    assert settings.tags == ("x", "y")
    assert kept == flags
    assert Options(blob).interval == settings.interval == 5.0
    assert Options(blob).state == str(tmp_path / "s")


def test_a_name_that_is_not_known_is_left_alone():
    found = Options(b"program=/p\nblob=x\nsay=y\n__class__=z\n\n")
    assert not hasattr(found, "say")
    assert isinstance(found, Options)


@pytest.mark.parametrize(
    "blob",
    [
        *(b"", b"program=/p", b"program=/p\n", b"\n\n", b"program=\n\n"),
        *(b"program=/p\ninterval=\n\n", b"program=/p\ninterval=soon\n\n", b"program=/\xff\n\n"),
    ],
)
def test_what_is_none_of_ours(blob):
    with pytest.raises(ValueError):  # noqa: PT011  of which kind, nobody asks
        Options(blob)


@pytest.mark.parametrize("name", ["interval", "deadline", "poll"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "1e300"])
def test_times_that_make_no_sense(name, value):
    with pytest.raises(ValueError, match="no sense"):
        Options(f"program=/p\n{name}={value}\n\n".encode())


def test_a_line_break_cannot_forge_an_option():
    with pytest.raises(ValueError, match="line break"):
        dump({"state": "/x\nprogram=/tmp/evil"}, b"")


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_a_memory_file_is_read_from_its_beginning_and_not_inherited(size):
    data = os.urandom(size)
    fd = memory_file(data)
    assert not os.get_inheritable(fd)
    with open(fd, "rb") as file:
        assert file.read() == data
