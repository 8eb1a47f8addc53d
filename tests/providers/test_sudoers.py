"""The kind `sudoers` against a fake root."""

from __future__ import annotations

import os
import stat

import pytest

from converge.errors import BatchError
from converge.files.backup import Backups
from converge.programs.process import Completed
from converge.provider import Spec
from converge.system import System
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan
from providers.fake_tree import TreeFixtures, differing, obstacle


def spec_of(name="ops", **declared):
    if declared.get("state") != "absent" and "content" not in declared:
        declared = {"user": "ada", "commands": "ALL", **declared}
    return make_spec("sudoers", name=name, **declared)


class SudoersFixtures(TreeFixtures):
    kind = "sudoers"

    @pytest.fixture(autouse=True)
    def _folder(self, root):
        (root / "etc/sudoers.d").mkdir()
        (root / "etc/sudoers.d").chmod(0o750)

    @pytest.fixture
    def system(self, root, tmp_path):
        (tmp_path / "state").mkdir(mode=0o700)
        self.checked: list[str] = []

        def visudo(argv, stdin):
            with open(argv[-1]) as file:
                text = file.read()
            self.checked.append(text)
            wrong = "syntax error" if "wrong" in text else ""
            return Completed(
                argv=tuple(argv), code=int(bool(wrong)), out="", err=f"{argv[-1]}:1: {wrong}"
            )

        backups = Backups(str(tmp_path / "state/backups"))
        return FakeSystem(root, {"visudo": visudo}, backups=backups)


class TestContract(SudoersFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [spec_of(), spec_of("raw", content="Defaults insults")]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(name, state="absent") for name in ("ops", "raw")]


class TestFile(SudoersFixtures):
    @pytest.mark.parametrize(
        ("declared", "rule"),
        [
            ({}, "ada ALL = (root) ALL"),
            (
                {"user": ["ada", "bob"], "group": "ops", "nopasswd": True, "setenv": True},
                "ada, bob, %ops ALL = (root) NOPASSWD: SETENV: ALL",
            ),
            (
                {"user": [], "group": ["ops"], "runas": ["www-data", "ALL"], "host": "web1"},
                "%ops web1 = (www-data, ALL) ALL",
            ),
            (
                {"commands": ["/bin/a -x=1,2 b:c *", "sudoedit /etc/hosts", r"/bin/b \="]},
                r"ada ALL = (root) /bin/a -x\=1\,2 b\:c *, sudoedit /etc/hosts, /bin/b \=",
            ),
            ({"commands": r"/bin/a \\,/bin/b"}, r"ada ALL = (root) /bin/a \\\,/bin/b"),
        ],
    )
    def test_rule(self, provider, system, root, declared, rule):
        assert converge(provider, [spec_of(**declared)], system) == []
        path = root / "etc/sudoers.d/ops"
        assert path.read_text() == f"# Managed by converge.\n{rule}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o440
        assert self.checked == [path.read_text()]

    @pytest.mark.parametrize("text", ["Defaults lecture=always", "Defaults lecture=always\n"])
    def test_content(self, provider, system, root, text):
        assert converge(provider, [spec_of(content=text)], system) == []
        assert (root / "etc/sudoers.d/ops").read_text() == "Defaults lecture=always\n"

    def test_what_visudo_refuses_leaves_what_is_there(self, provider, system, root):
        converge(provider, [spec_of()], system)
        with pytest.raises(
            BatchError, match=r"visudo: exit 1: /etc/sudoers\.d/ops:1: syntax error"
        ):
            converge(provider, [spec_of(content="wrong")], system)
        assert "ada ALL" in (root / "etc/sudoers.d/ops").read_text()
        assert os.listdir(root / "etc/sudoers.d") == ["ops"]

    def test_mode_alone_needs_no_check(self, provider, system, root):
        converge(provider, [spec_of()], system)
        (root / "etc/sudoers.d/ops").chmod(0o644)
        assert differing(plan(provider, [spec_of()], system)) == ["mode"]
        assert converge(provider, [spec_of()], system) == []
        assert len(self.checked) == 1

    def test_without_visudo_it_is_unmanageable_when_it_is_to_be_written(
        self, provider, system, root
    ):
        del system.programs["visudo"]
        assert obstacle(provider, system, spec_of()) is None  # a package may bring it yet
        with pytest.raises(BatchError) as caught:
            converge(provider, [spec_of()], system)
        error = caught.value.errors["ops"]
        assert type(error).__name__ == "CannotManageError"
        assert "there is no visudo" in str(error)
        assert os.listdir(root / "etc/sudoers.d") == []
        assert converge(provider, [spec_of(state="absent")], system) == []

    def test_below_a_root_prefix(self, provider, root):
        with pytest.raises(BatchError, match="there is no visudo here"):
            converge(provider, [spec_of()], Prefixed(str(root)))

    def test_order(self, provider):
        found = set(provider.depends(spec_of(group=["ops"], runas=["web", "ALL"])))
        assert found > {
            "directory:/etc", "symlink:/etc", "directory:/etc/sudoers.d", "symlink:/etc/sudoers.d",
            "user:ada", "user:web", "group:ops", "package:sudo", "package:sudo-ldap",
        }  # fmt: skip


class Prefixed(System):
    """A real System below a root prefix."""


class TestDeclaration:
    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"name": "a.b"}, "not a name that sudo reads"),
            ({"name": "a~"}, "not a name that sudo reads"),
            ({"name": "../sudoers"}, "not a name that sudo reads"),
            ({"user": []}, "who\\?"),
            ({"commands": []}, "what may they run\\?"),
            ({"commands": "id"}, "is no absolute path, nor ALL"),
            ({"commands": ["ALL", "!/bin/sh"]}, "can be run under another name"),
            ({"commands": "/bin/a #b"}, "mean something else in sudoers"),
            ({"commands": "/bin/a \\"}, "ends in a space or a backslash"),
            ({"commands": "/bin/a\n/bin/b"}, "one line of text"),
            ({"user": "a, b"}, "not an account name"),
            ({"user": "%ops"}, "not an account name"),
            ({"runas": "a) ALL"}, "not an account name"),
            ({"host": "a = b"}, "not a host's name"),
            ({"content": "x", "user": "ada"}, "goes with no other attribute"),
            ({"content": "x\0"}, "NUL"),
        ],
    )
    def test_problems(self, declared, message):
        with pytest.raises(AssertionError, match=message):
            spec_of(**declared)
