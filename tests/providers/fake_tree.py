"""A fake root for the tests of the kinds that live at a path: file, directory, symlink."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.files.backup import Backups
from converge.files.journal import Journal
from converge.mounts import Mount
from converge.testing import FakeSystem, plan, snapshot

ROOT = os.geteuid() == 0
OTHER = 65534 if ROOT else os.geteuid()  # a user that we may give files to, `app` in the fake root


def for_root(test: Any) -> Any:
    """Leave out a test of what only root can set up: files of another user's."""
    return test if ROOT else None


class TreeFixtures:
    """The fake root: `/etc` with the account files, backups and a journal beside it."""

    kind: ClassVar[str]

    @pytest.fixture
    def root(self, tmp_path):
        path = tmp_path / "root"
        (path / "etc").mkdir(parents=True)
        (path / "etc").chmod(0o755)
        (path / "etc/passwd").write_text(f"root:x:0:0::/:/bin/sh\napp:x:{OTHER}:{OTHER}::/:\n")
        (path / "etc/group").write_text(f"root:x:0:\napp:x:{os.getegid()}:\n")
        return path

    @pytest.fixture
    def system(self, root, tmp_path):
        (tmp_path / "state").mkdir(mode=0o700)
        return FakeSystem(
            root,
            {"check": lambda argv, stdin: ""},
            backups=Backups(str(tmp_path / "state/backups")),
            journal=Journal(str(tmp_path / "state/journal")),
        )

    @pytest.fixture
    def as_other(self, root, system):
        """Run the test as another user, who may reach the fake root."""
        root.parent.chmod(0o711)
        os.seteuid(OTHER)
        yield
        os.seteuid(0)

    @pytest.fixture
    def provider(self):
        return kinds.load(self.kind)

    @pytest.fixture
    def tree(self, root):
        """A directory with a file, a link, a sub-directory and a file in that."""
        path = root / "srv/app"
        (path / "sub/deep").mkdir(parents=True)
        (path / "file").write_text("file")
        (path / "sub/inner").write_text("inner")
        (path / "link").symlink_to("/etc/passwd")
        for folder in (root / "srv", path, path / "sub", path / "sub/deep"):
            folder.chmod(0o755)
        for file in (path / "file", path / "sub/inner"):
            file.chmod(0o644)
        return path


def mounted(system, monkeypatch, path: str, *, read_only: bool = False) -> None:
    """Make both views of the system see a mount at a path of the fake root."""
    mount = Mount(path=path, type="ext4", source="/dev/x", read_only=read_only)
    for view in (FakeSystem, type(system.read_only())):
        monkeypatch.setattr(view, "mounts", lambda self: {path: mount})


def refused(provider, system, spec, message: str) -> None:
    """Apply what differs; it must fail with this message and leave everything as it was."""
    before = snapshot(system.root)
    with pytest.raises(BatchError, match=message):
        provider.apply(plan(provider, [spec], system), system)
    assert snapshot(system.root) == before


def obstacle(provider, system, spec):
    """Return what the container has against the one change that this spec makes."""
    (change,) = plan(provider, [spec], system)
    return provider.obstacles([change], system.read_only()).get(spec.name)


def differing(changes) -> list[str]:
    """Return the names of the fields that differ."""
    return [field.field for change in changes for field in change.fields]


def must_not_read(*arguments, **options):
    """Stand in for a reading that must not happen."""
    raise AssertionError("must not be read")


def kept(system) -> dict[str, bytes]:
    """Return every backup: path → content."""
    store = system.backups
    return {entry["path"]: store.read(entry["digest"]) for entry in store.entries()}
