"""The kind `authorized_key` against a fake root, and its rules."""

from __future__ import annotations

import base64
import os
import stat

import pytest

from converge.errors import BatchError
from converge.provider import Spec, Unmanageable
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources.ssh import keys as ssh_keys
from providers.fake_tree import OTHER, ROOT, TreeFixtures, differing, for_root, kept, obstacle


def public(number, kind="ssh-ed25519", comment=""):
    """Return a public key of a type, that nobody has the other half of."""
    name = kind.encode()
    data = len(name).to_bytes(4, "big") + name + (32).to_bytes(4, "big") + bytes([number] * 32)
    return f"{kind} {base64.b64encode(data).decode()} {comment}".strip()


ONE, TWO, THREE = public(1, comment="ada@home"), public(2), public(3, "ssh-rsa", "three words here")


def spec_of(name="ada", **declared):
    return make_spec("authorized_key", name=name, **{"user": "app", "key": ONE, **declared})


class KeyFixtures(TreeFixtures):
    kind = "authorized_key"

    @pytest.fixture(autouse=True)
    def home(self, root):
        line = f"app:x:{OTHER}:{os.getegid()}::/home/app:/bin/sh\n"
        (root / "etc/passwd").write_text(
            f"root:x:0:0::/root:/bin/sh\n{line}lost:x:9:9::/:/bin/sh\n"
        )
        path = root / "home/app"
        path.mkdir(parents=True)
        path.chmod(0o755)
        os.chown(path, OTHER, os.getegid())
        return path

    @pytest.fixture
    def file(self, home):
        """The file, with three lines of which one is a comment."""
        folder = home / ".ssh"
        folder.mkdir(mode=0o700)
        path = folder / "authorized_keys"
        path.write_text(f"# mine\n{ONE}\n{TWO} two\n")
        path.chmod(0o600)
        for one in (folder, path):
            os.chown(one, OTHER, os.getegid())
        return path


class TestContract(KeyFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(),
            spec_of("two", key=[TWO, THREE], options=["no-pty", 'from="10.0.0.0/8"']),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(state="absent"), spec_of("two", key=[TWO, THREE], state="absent")]


class TestFile(KeyFixtures):
    def test_is_made_with_its_directory_for_the_user_alone(self, provider, system, home):
        assert converge(provider, [spec_of()], system) == []
        path = home / ".ssh/authorized_keys"
        assert path.read_text() == f"{ONE}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.stat().st_uid == path.parent.stat().st_uid == OTHER

    @pytest.mark.parametrize(
        ("declared", "line"),
        [
            ({}, ONE),
            ({"key": TWO}, f"{TWO} ada"),
            ({"key": THREE}, THREE),
            ({"options": ["no-pty"]}, f"no-pty {ONE}"),
            (
                {"options": [r'command="echo \"a b\""', "restrict"]},
                rf'command="echo \"a b\"",restrict {ONE}',
            ),
            ({"options": [r'command="printf a\n"']}, rf'command="printf a\n" {ONE}'),
        ],
    )
    def test_lines(self, provider, system, home, declared, line):
        assert converge(provider, [spec_of(**declared)], system) == []
        assert (home / ".ssh/authorized_keys").read_text() == f"{line}\n"

    def test_what_is_right_is_left(self, provider, system, file):
        assert plan(provider, [spec_of()], system) == []
        assert plan(provider, [spec_of("two", key=TWO)], system) == []

    def test_other_options_and_comments_are_put_right_in_place(self, provider, system, file):
        file.write_text(f'command="a # b",no-pty {TWO} x\n{ONE}\n')
        spec = spec_of("two", key=TWO)
        assert differing(plan(provider, [spec], system)) == ["lines"]
        assert converge(provider, [spec], system) == []
        assert file.read_text() == f"{TWO} two\n{ONE}\n"

    def test_a_key_that_is_there_twice_goes_once(self, provider, system, file):
        file.write_text(f"{ONE}\n{TWO} two\nno-pty {ONE}\n")
        assert converge(provider, [spec_of()], system) == []
        assert file.read_text() == f"{ONE}\n{TWO} two\n"

    def test_absent(self, provider, system, file):
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert file.read_text() == f"# mine\n{TWO} two\n"
        assert "/home/app/.ssh/authorized_keys" in kept(system)

    def test_exclusive(self, provider, system, file):
        spec = spec_of(key=[ONE, THREE], exclusive=True)
        (change,) = plan(provider, [spec], system)
        assert [(f.field, f.before) for f in change.fields if f.field == "others"] == [
            ("others", 1)
        ]
        assert converge(provider, [spec], system) == []
        assert file.read_text() == f"# mine\n{ONE}\n{THREE}\n"

    @pytest.mark.parametrize("other", ["rsa-sha2-512 AAAAB3Nz", "no-pty ssh-dss AAAAB3Nz x"])
    def test_exclusive_knows_keys_of_any_type(self, provider, system, file, other):
        file.write_text(f"{other}\n{ONE}\n# {other}\n")
        assert converge(provider, [spec_of(key=[ONE], exclusive=True)], system) == []
        assert file.read_text() == f"{ONE}\n# {other}\n"

    def test_a_key_under_another_name_of_its_type_goes(self, provider, system, file):
        file.write_text(THREE.replace("ssh-rsa", "rsa-sha2-256") + "\n")
        spec = spec_of(key=THREE, state="absent")
        assert converge(provider, [spec], system) == []
        assert file.read_text() == ""

    def test_several_of_one_file(self, provider, system, file):
        specs = [spec_of(state="absent"), spec_of("three", key=THREE)]
        assert converge(provider, specs, system) == []
        assert file.read_text() == f"# mine\n{TWO} two\n{THREE}\n"

    @pytest.mark.parametrize("which", ["file", "folder"])
    def test_what_sshd_would_not_read_is_put_right(self, provider, system, file, which):
        path = file if which == "file" else file.parent
        path.chmod(0o777)
        assert differing(plan(provider, [spec_of()], system)) == ["trusted"]
        assert converge(provider, [spec_of()], system) == []
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if which == "file" else 0o700)

    @for_root
    def test_another_owner_is_put_right(self, provider, system, file):
        os.chown(file, 12345, 12345)
        file.chmod(0o644)
        assert converge(provider, [spec_of()], system) == []
        assert file.stat().st_uid == OTHER

    def test_another_path_belongs_to_root(self, provider, system, root):
        (root / "etc/ssh/keys").mkdir(parents=True)
        spec = spec_of(path="/etc/ssh/keys/app")
        assert converge(provider, [spec], system) == []
        path = root / "etc/ssh/keys/app"
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (os.geteuid(), 0o644)
        assert list(provider.watches(spec)) == ["/etc/ssh/keys/app"]

    def test_a_missing_home_or_user_is_named(self, provider, system, home):
        home.rmdir()
        with pytest.raises(BatchError, match="the directory /home/app is missing"):
            converge(provider, [spec_of()], system)
        with pytest.raises(BatchError, match="there is no user 'nemo'"):
            converge(provider, [spec_of(user="nemo")], system)
        found = provider.inspect([spec_of(user="lost")], system.read_only())["ada"]
        assert found.reason == "the user lost has no home"


def unreadable(provider, system, spec):
    """Return why a user's file is not read; applying it all the same fails too."""
    found = provider.inspect([spec], system.read_only())[spec.name]
    assert isinstance(found, Unmanageable)
    system.forget()
    return found.reason


class TestAttacks(KeyFixtures):
    @for_root
    def test_a_link_in_place_of_the_directory_is_not_followed(self, provider, system, home, root):
        (root / "root/.ssh").mkdir(parents=True)
        os.symlink("/root/.ssh", home / ".ssh")
        os.chown(home / ".ssh", OTHER, OTHER, follow_symlinks=False)
        unreadable(provider, system, spec_of())
        assert os.listdir(root / "root/.ssh") == []

    @for_root
    def test_a_link_in_place_of_the_file_is_not_followed(self, provider, system, file, root):
        file.unlink()
        os.symlink("/etc/passwd", file)
        unreadable(provider, system, spec_of())

    @for_root
    def test_a_second_name_of_somebody_elses_file_is_not_read(self, provider, system, file, root):
        secret = root / "etc/shadow"
        secret.write_text("root:hash\n")
        secret.chmod(0o600)
        file.unlink()
        os.link(secret, file)
        assert "it belongs to uid 0" in unreadable(provider, system, spec_of())

    @for_root
    def test_nor_one_of_the_users_own(self, provider, system, file, home):
        os.link(file, home / "second")
        assert "other names (hard links)" in unreadable(provider, system, spec_of())

    @for_root
    def test_roots_file_that_was_moved_there_is_not_read(self, provider, system, file):
        os.chown(file, 0, 0)
        assert "could not read it" in unreadable(provider, system, spec_of())
        file.chmod(0o644)  # which he could read anyway
        system.forget()
        assert plan(provider, [spec_of()], system) == []

    def test_a_fifo_never_blocks(self, provider, system, file):
        file.unlink()
        os.mkfifo(file)
        assert "cannot be read" in unreadable(provider, system, spec_of())

    def test_roots_own_file_is_just_a_file(self, provider, system, root):
        if ROOT:
            (root / "root/.ssh").mkdir(parents=True)
            assert converge(provider, [spec_of(user="root")], system) == []


class TestNoKeyAtAll(KeyFixtures):
    """`exclusive` with an empty list, as a profile gives it for a user without keys."""

    def spec(self):
        return spec_of(key=[], exclusive=True)

    @for_root
    def test_every_key_goes_and_comments_stay(self, provider, system, file):
        assert converge(provider, [self.spec()], system) == []
        assert file.read_text() == "# mine\n"
        assert plan(provider, [self.spec()], system) == []

    def test_nothing_is_made_for_it(self, provider, system, home):
        assert plan(provider, [self.spec()], system) == []
        assert os.listdir(home) == []


class TestObstacles(KeyFixtures):
    @for_root
    def test_another_users_needs_capabilities(self, provider, system):
        assert obstacle(provider, system, spec_of()) is None
        system.capabilities = 0
        assert "CAP_CHOWN" in obstacle(provider, system, spec_of()).reason


@pytest.mark.parametrize(
    ("line", "options"),
    [
        (ONE, ""),
        (f"  {ONE}", ""),
        (f"no-pty {ONE}", "no-pty"),
        (f'command="a \\" b",no-pty\t{ONE}', 'command="a \\" b",no-pty'),
        (f'from="a b" {THREE}', 'from="a b"'),
    ],
)
def test_entries(line, options):
    found = ssh_keys.entry(line)
    assert found is not None
    assert found.options == options


@pytest.mark.parametrize("line", ["", "# c", f"#{ONE}", "words", 'command="x', "ssh-ed25519"])
def test_no_entries(line):
    assert ssh_keys.entry(line) is None


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"key": []}, "a `key` is needed"),
        ({"key": "AAAA"}, "is no type of key"),
        ({"key": f"no-pty {ONE}"}, "is no type of key"),
        ({"key": "ssh-dss AAAA"}, "is no type of key"),
        ({"key": "-----BEGIN OPENSSH PRIVATE KEY-----"}, "this is a private key"),
        ({"key": ONE[:40]}, "is it cut off"),
        ({"key": ONE.replace("ssh-ed25519", "ssh-rsa")}, "no such key"),
        ({"key": f"{ONE}\n{TWO}"}, "one line of text"),
        ({"options": ["no-pty,restrict"]}, "is no option"),
        ({"options": ["command=ls"]}, 'name="value"'),
        ({"options": ['command="a"b"']}, "is no option"),
        ({"options": [r'command="a\\"']}, "is no option"),
        ({"state": "absent", "exclusive": True}, "goes with keys that are present"),
        ({"user": "a/b"}, "not an account name"),
        ({"path": "keys"}, "not an absolute path"),
        ({"name": " "}, "a title is needed"),
    ],
)
def test_problems(declared, message):
    with pytest.raises(AssertionError, match=message):
        spec_of(**declared)


def test_order_and_claims():
    from converge import kinds

    provider = kinds.load("authorized_key")
    spec = spec_of(path="/etc/ssh/keys/app")
    assert {"user:app", "directory:/etc/ssh/keys"} <= set(provider.depends(spec))
    assert set(provider.claims(spec_of())) & set(
        provider.claims(spec_of("again", options=["restrict"]))
    )
    assert not set(provider.claims(spec_of())) & set(provider.claims(spec_of(user="root")))
