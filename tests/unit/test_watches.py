"""Which paths have drifted: with the kernel's own inotify, over a scratch directory."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from converge.daemon import kernel, prints
from converge.daemon.watches import CONTENT, FILE, MOUNTED, PROFILE, Watches, is_record


class Watched:
    """Watches of some paths, as a run of all resources has left them."""

    def __init__(self, *paths, kind=FILE, events=True):
        self.paths, self.kind = [str(path) for path in paths], kind
        self.watches = Watches(events=events)
        self.run()

    def run(self):
        self.watches.update([self.record(path) for path in self.paths], whole=True)
        self.watches.drifted()

    def record(self, path):
        return f"{self.kind} {prints.of(path, content=self.kind == CONTENT)} {path}"

    def drifted(self):
        """Return what has drifted by what the kernel has told, nothing else being looked at."""
        self.watches.read()
        return {os.path.relpath(path, os.path.dirname(self.paths[0])) for path in self.look()}

    def look(self):
        return self.watches.drifted()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("as declared\n")
    return path


def write(path):
    path.write_text("something else\n")


def replace(path):
    other = path.parent / "other"
    other.write_text("as declared\n")
    other.rename(path)


def away(path):
    path.rename(path.parent / "elsewhere")


def to_directory(path):
    path.unlink()
    path.mkdir()


CHANGES = {
    "written": write,
    "replaced": replace,
    "moved away": away,
    "removed": os.unlink,
    "mode": lambda path: path.chmod(0o600),
    "time": lambda path: os.utime(path, (1, 1)),
    "emptied": lambda path: path.write_text(""),
    "a directory": to_directory,
    "a link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_file_that_looks_different(file, change):
    watched = Watched(file)
    change(file)
    assert watched.drifted() == {"file"}
    assert watched.drifted() == set(), "it is asked once"


def test_a_file_that_appears(tmp_path):
    watched = Watched(tmp_path / "file")
    (tmp_path / "file").touch()
    assert watched.drifted() == {"file"}


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.read_text(),
        lambda file: (file.parent / "beside").write_text("x"),
        lambda file: (file.parent / "below").mkdir(),
        lambda file: (file.parent / "filename").touch(),
    ],
)
def test_what_is_none_of_ours(file, change):
    watched = Watched(file)
    change(file)
    assert watched.watches.read() is False
    assert watched.look() == set()


def test_a_change_that_a_run_has_read_is_no_drift(file):
    """The agent's own: its events come after the run's record of it."""
    watched = Watched(file)
    write(file)
    watched.watches.update([watched.record(str(file))], whole=False)
    assert watched.drifted() == set()
    replace(file)
    assert watched.drifted() == {"file"}


def test_a_run_of_some_leaves_the_others_watched(tmp_path):
    paths = [tmp_path / "a/file", tmp_path / "b/file"]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    watched = Watched(*paths)
    watched.watches.update([watched.record(str(paths[0]))], whole=False)
    write(paths[1])
    assert watched.watches.read()
    assert watched.look() == {str(paths[1])}


def test_what_is_contended_is_left_alone_until_the_next_whole_run(file):
    watched = Watched(file)
    watched.watches.update([f"- 0 {file}"], whole=False)
    write(file)
    assert watched.drifted() == set()
    assert len(watched.watches) == 0, "its directory need not be watched"
    watched.run()
    write(file)
    replace(file)
    assert watched.drifted() == {"file"}


def test_a_whole_run_finds_what_has_changed_since_it_read(file):
    watches = Watches()
    record = f"{FILE} {prints.of(str(file))} {file}"
    write(file)
    file.chmod(0o600)
    watches.update([record], whole=True)
    assert watches.drifted() == {str(file)}


def test_directories_that_are_not_there_yet(tmp_path):
    """Two below one that is missing: they are there at once when it appears."""
    watched = Watched(tmp_path / "a/b/file", tmp_path / "a/c/file", tmp_path / "a/d/e/file")
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/c").mkdir()
    watched.watches.read()
    assert watched.look() == set()
    (tmp_path / "a/b/file").touch()
    (tmp_path / "a/c/file").touch()
    (tmp_path / "a/d/e").mkdir(parents=True)
    watched.watches.read()
    assert watched.look() == {f"{tmp_path}/a/b/file", f"{tmp_path}/a/c/file"}
    (tmp_path / "a/d/e/file").touch()
    watched.watches.read()
    assert watched.look() == {f"{tmp_path}/a/d/e/file"}


def test_a_file_that_is_there_when_its_directory_is_seen(tmp_path):
    watched = Watched(tmp_path / "a/b/file")
    (tmp_path / "new/b").mkdir(parents=True)
    (tmp_path / "new/b/file").touch()
    (tmp_path / "new").rename(tmp_path / "a")
    watched.watches.read()
    assert watched.look() == {f"{tmp_path}/a/b/file"}


def test_a_directory_that_is_removed_and_made_again(tmp_path):
    path = tmp_path / "a/file"
    path.parent.mkdir()
    path.touch()
    watched = Watched(path)
    shutil.rmtree(path.parent)
    watched.watches.read()
    assert watched.look() == {str(path)}
    path.parent.mkdir()
    watched.watches.read()
    watched.look()
    path.touch()
    watched.watches.read()
    assert watched.look() == {str(path)}


def test_a_directory_that_is_moved_away(tmp_path):
    path = tmp_path / "a/file"
    path.parent.mkdir()
    path.touch()
    watched = Watched(path)
    path.parent.rename(tmp_path / "elsewhere")
    watched.watches.read()
    assert watched.look() == {str(path)}


def test_one_above_it_is_moved_away_and_the_next_whole_run_sees_to_it(tmp_path):
    """The kernel tells nothing of a move above a watched directory."""
    path = tmp_path / "a/b/file"
    path.parent.mkdir(parents=True)
    path.touch()
    watched = Watched(path)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    path.parent.mkdir(parents=True)
    path.touch()
    watched.run()
    assert len(watched.watches) == 1
    (tmp_path / "elsewhere/b/file").write_text("none of ours any more")
    assert watched.watches.read() is False
    write(path)
    watched.watches.read()
    assert watched.look() == {str(path)}


def test_two_ways_to_one_directory(tmp_path):
    """As /var/run and /run: the kernel has one watch for both."""
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("../run")
    watched = Watched(tmp_path / "var/run/one", tmp_path / "run/two", tmp_path / "run/one")
    (tmp_path / "run/two").touch()
    assert watched.drifted() == {"../../run/two"}
    (tmp_path / "run/one").touch()
    assert watched.drifted() == {"one", "../../run/one"}
    watched.run()
    shutil.rmtree(tmp_path / "run")
    assert watched.drifted() == {"one", "../../run/one", "../../run/two"}


def test_a_directory_with_all_that_is_in_it(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    watched = Watched(top, kind=CONTENT)
    (top / "entry").touch()
    assert watched.drifted() == {"top"}
    watched.run()
    (top / "entry").write_text("content")  # which is none of its entries
    assert watched.watches.read()
    watched.look()
    watched.run()
    (top / "entry").unlink()
    assert watched.drifted() == {"top"}


def test_a_file_that_is_a_mount_is_watched_itself(tmp_path, file):
    """It is changed through another name, in a directory that is not here; here a hard link."""
    (tmp_path / "host").mkdir()
    watched = Watched(file, kind=MOUNTED)
    os.link(file, tmp_path / "host/name")
    watched.run()
    write(tmp_path / "host/name")
    assert watched.drifted() == {"file"}


def test_a_profile_is_known_as_one(file):
    watched = Watched(file, kind=PROFILE)
    assert watched.watches.is_profile(str(file))
    assert not watched.watches.is_profile("/etc/passwd")


def test_more_events_than_the_kernel_keeps(tmp_path, file):
    """What was lost may be anything, the end of a watch too."""
    other = tmp_path / "other/file"
    other.parent.mkdir()
    other.touch()
    watched = Watched(file, other)
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as limit:
        most = int(limit.read())
    for number in range(most // 2 + 10):  # opened and closed: no two events alike in a row
        os.close(os.open(tmp_path / f"noise{number % 2}", os.O_CREAT | os.O_WRONLY))
    shutil.rmtree(other.parent)
    other.parent.mkdir()
    assert watched.watches.read()
    assert watched.look() == {str(other)}
    other.touch()
    watched.watches.read()
    assert watched.look() == {str(other)}


def test_who_writes_faster_than_it_is_read_does_not_hold_it_up(monkeypatch):
    event = b"".join(n.to_bytes(4, "little") for n in (1, kernel.IN_CLOSE_WRITE, 0, 0))
    monkeypatch.setattr(kernel.os, "read", lambda _fd, _size: event)
    assert kernel.events(-1)


def test_a_tree_that_goes_is_looked_at_once(tmp_path, monkeypatch):
    """Not once for each directory of thousands, each time of all."""
    files = [tmp_path / f"tree/{number}/file" for number in range(100)]
    for one in files:
        one.parent.mkdir(parents=True)
        one.touch()
    watched = Watched(*files)
    calls = []
    watch = kernel.watch
    monkeypatch.setattr(kernel, "watch", lambda fd, path: calls.append(path) or watch(fd, path))
    shutil.rmtree(tmp_path / "tree")
    assert len(watched.drifted()) == 100
    assert len(calls) <= 102, "each of the missing, the tree itself and what is above it"
    for one in files:
        one.parent.mkdir(parents=True)
        one.touch()
    watched.run()
    files[50].write_text("something else\n")
    assert [os.path.basename(os.path.dirname(path)) for path in watched.drifted()] == ["50"]


def test_any_name(tmp_path):
    name = os.fsdecode(b"\xff\xfe \n\x01")
    watched = Watched(tmp_path / name)
    (tmp_path / name).touch()
    assert watched.drifted() == {name}


def test_events_off(file):
    watched = Watched(file, events=False)
    assert watched.watches.fd == -1
    assert watched.watches.prints == {}
    write(file)
    watched.watches.look_at_everything()
    assert watched.look() == set()


def test_no_instance_is_left(file, monkeypatch):
    def none_left():
        raise OSError(errno.EMFILE, "Too many open files")

    real = kernel.inotify
    monkeypatch.setattr(kernel, "inotify", none_left)
    watched = Watched(file)
    assert watched.watches.trouble == "no inotify: Too many open files"
    write(file)
    assert watched.look() == set()
    watched.watches.look_at_everything()
    assert watched.look() == {str(file)}
    monkeypatch.setattr(kernel, "inotify", real)
    watched.run()
    assert watched.watches.trouble == ""
    replace(file)
    assert watched.drifted() == {"file"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.ENAMETOOLONG])
def test_what_cannot_be_watched(file, monkeypatch, code):
    def fail(_fd, path):
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(kernel, "watch", fail)
    watched = Watched(file)
    assert watched.watches.trouble == f"not all can be watched: {file.parent}: {os.strerror(code)}"
    write(file)
    watched.watches.look_at_everything()
    assert watched.look() == {str(file)}


def test_closed_it_holds_no_descriptor(file):
    watched = Watched(file)
    fd = watched.watches.fd
    watched.watches.close()
    assert watched.watches.fd == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize(
    "text", ["f 1 /", "d -1 /a b", "p 0 /\n", "m 18446744073709551615 /x", "- 0 /x"]
)
def test_records(text):
    assert is_record(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f",
        "f 1",
        "f 1 ",
        "f 1 x",
        "x 1 /",
        "f x /",
        "f  /",
        "f -x /",
        "f 1.5 /",
        f"f {10**40} /",
    ],
)
def test_no_records(text):
    assert not is_record(text)
