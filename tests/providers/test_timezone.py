"""The kind `timezone` against a fake root."""

from __future__ import annotations

import os

import pytest

from converge import kinds
from converge.errors import BatchError
from converge.provider import Spec, Unmanageable
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources import timezone
from providers.fake_tree import TreeFixtures, differing, mounted, obstacle

BERLIN, UTC = b"TZif2 berlin", b"TZif2 utc"


def spec_of(name="Europe/Berlin"):
    return make_spec("timezone", name=name)


class ZoneFixtures(TreeFixtures):
    """A Debian at Etc/UTC, with a few zones."""

    kind = "timezone"

    @pytest.fixture(autouse=True)
    def debian(self, root, monkeypatch):
        monkeypatch.delenv("TZ", raising=False)
        zones = root / "usr/share/zoneinfo"
        for folder in ("Europe", "Etc"):
            (zones / folder).mkdir(parents=True)
        (zones / "Europe/Berlin").write_bytes(BERLIN)
        (zones / "Etc/UTC").write_bytes(UTC)
        (zones / "UTC").symlink_to("Etc/UTC")
        (zones / "tzdata.zi").write_text("# version")
        (root / "etc/debian_version").write_text("12\n")
        (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
        (root / "etc/timezone").write_text("Etc/UTC\n")
        for folder in [root, *root.rglob("*")]:
            if folder.is_dir():
                folder.chmod(0o755)


def link(root):
    return os.readlink(root / "etc/localtime")


class TestContract(ZoneFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [spec_of()]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return []

    def test_round_trip(self, system):
        """There is always a time zone, so one goes to another and back."""
        provider = kinds.load(self.kind)
        for name in ("Europe/Berlin", "UTC", "UTC", "Europe/Berlin"):
            assert converge(provider, [spec_of(name)], system) == []


class TestZone(ZoneFixtures):
    def test_link_and_name(self, provider, system, root):
        (change,) = plan(provider, [spec_of()], system)
        assert [(f.field, f.before, f.after) for f in change.fields] == [
            ("zone", "Etc/UTC", "Europe/Berlin"),
            ("written", "Etc/UTC", "Europe/Berlin"),
        ]
        assert converge(provider, [spec_of()], system) == []
        assert link(root) == "/usr/share/zoneinfo/Europe/Berlin"
        assert (root / "etc/timezone").read_text() == "Europe/Berlin\n"

    @pytest.mark.parametrize(
        "target", ["../usr/share/zoneinfo/Europe/Berlin", "/usr/share//zoneinfo/./Europe/Berlin"]
    )
    def test_another_spelling_of_the_link_is_the_same(self, provider, system, root, target):
        (root / "etc/localtime").unlink()
        (root / "etc/localtime").symlink_to(target)
        (root / "etc/timezone").write_text("Europe/Berlin")
        assert plan(provider, [spec_of()], system) == []
        assert link(root) == target

    def test_a_copy_of_the_zone_is_as_good(self, provider, system, root):
        (root / "etc/localtime").unlink()
        (root / "etc/localtime").write_bytes(BERLIN)
        assert differing(plan(provider, [spec_of()], system)) == ["written"]
        assert converge(provider, [spec_of()], system) == []
        assert not (root / "etc/localtime").is_symlink()

    def test_a_copy_of_another_zone_is_replaced(self, provider, system, root):
        (root / "etc/localtime").unlink()
        (root / "etc/localtime").write_bytes(UTC)
        assert converge(provider, [spec_of()], system) == []
        assert link(root) == "/usr/share/zoneinfo/Europe/Berlin"

    def test_no_link_at_all(self, provider, system, root):
        (root / "etc/localtime").unlink()
        (change,) = plan(provider, [spec_of("Etc/UTC")], system)
        assert change.fields[0].before == "none, which means UTC"
        assert converge(provider, [spec_of("Etc/UTC")], system) == []

    @pytest.mark.parametrize(("marked", "name", "written"), [
        (True, False, True), (False, True, True), (False, False, False),
    ])  # fmt: skip
    def test_the_name_is_kept_where_it_is_usual(
        self, provider, system, root, marked, name, written
    ):
        if not marked:
            (root / "etc/debian_version").unlink()
        if not name:
            (root / "etc/timezone").unlink()
        assert converge(provider, [spec_of()], system) == []
        assert (root / "etc/timezone").exists() == written

    @pytest.mark.parametrize(
        ("name", "like"),
        [
            ("Europe/Berlim", "did you mean `Europe/Berlin`?"),
            ("Europa/Berlin", "did you mean `Europe`?"),
            ("tzdata", "tzdata-legacy"),
            ("Etc", ""),
        ],
    )
    def test_no_such_zone(self, provider, system, root, name, like):
        changes = plan(provider, [spec_of(name)], system)
        with pytest.raises(BatchError, match=f"there is no time zone {name}") as caught:
            provider.apply(changes, system)
        assert like in str(caught.value)
        assert link(root) == "/usr/share/zoneinfo/Etc/UTC"

    def test_the_right_link_to_a_zone_that_is_missing(self, provider, system, root):
        converge(provider, [spec_of()], system)
        (root / "usr/share/zoneinfo/Europe/Berlin").unlink()
        (change,) = plan(provider, [spec_of()], system)
        assert change.fields[0].before == "Europe/Berlin, which is missing"


class TestObstacles(ZoneFixtures):
    def test_no_zones(self, provider, system, root):
        os.rename(root / "usr/share/zoneinfo", root / "elsewhere")
        assert "package: tzdata" in obstacle(provider, system, spec_of()).remedy

    def test_a_mount_of_another_zone(self, provider, system, root, monkeypatch):
        (root / "etc/localtime").unlink()
        (root / "etc/localtime").write_bytes(UTC)
        mounted(system, monkeypatch, "/etc/localtime")
        assert "is a mount of another zone" in obstacle(provider, system, spec_of()).reason

    def test_a_mount_of_the_declared_zone_is_fine(self, provider, system, root, monkeypatch):
        (root / "etc/localtime").unlink()
        (root / "etc/localtime").write_bytes(BERLIN)
        mounted(system, monkeypatch, "/etc/localtime")
        assert obstacle(provider, system, spec_of()) is None
        assert converge(provider, [spec_of()], system) == []

    @pytest.mark.parametrize("name", ["Etc/UTC", "UTC"])
    def test_a_mount_over_the_zone_itself(self, provider, system, root, monkeypatch, name):
        converge(provider, [spec_of(name)], system)
        mounted(system, monkeypatch, "/usr/share/zoneinfo/Etc/UTC")
        found = provider.inspect([spec_of(name)], system.read_only())[name]
        assert isinstance(found, Unmanageable)
        assert "Etc/UTC is a mount" in found.reason
        assert obstacle(provider, system, spec_of()) is None, "another zone is not affected"
        (root / "etc/timezone").write_text("x")
        assert "is a mount" in obstacle(provider, system, spec_of(name)).reason

    def test_a_read_only_root(self, provider, system, monkeypatch):
        mounted(system, monkeypatch, "/", read_only=True)
        assert "read-only" in obstacle(provider, system, spec_of()).reason

    def test_the_variable_wins(self, provider, system, monkeypatch):
        monkeypatch.setattr(type(system.read_only()), "prefixed", False)
        converge(provider, [spec_of()], system)
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        found = provider.inspect([spec_of()], system.read_only())["Europe/Berlin"]
        assert isinstance(found, Unmanageable)
        assert found.reason == "the variable TZ=Asia/Tokyo wins over /etc/localtime"
        for value in ("Europe/Berlin", ":Europe/Berlin", ":/etc/localtime"):
            monkeypatch.setenv("TZ", value)
            assert plan(provider, [spec_of()], system) == []


class TestSpec:
    @pytest.mark.parametrize(
        "name",
        ["", "/etc/passwd", "../etc", "Europe/../x", "Europe//x", "a b", "Europe/", "a/b/c/d/e"],
    )
    def test_wrong(self, name):
        from converge.language.models import validate

        _, problems = validate(kinds.load("timezone").spec, {"name": name})
        assert [place for place, _ in problems] == [("name",)]

    def test_two_are_a_contradiction(self):
        provider = kinds.load("timezone")
        assert set(provider.claims(spec_of())) & set(provider.claims(spec_of("UTC")))
        assert f"path:{timezone.LINK}" in provider.claims(spec_of())
