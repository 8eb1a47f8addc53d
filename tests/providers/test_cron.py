"""The kind `cron` against a fake root."""

from __future__ import annotations

import os

import pytest

from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from converge_resources import cron_schedule
from providers.fake_tree import (
    ROOT,
    TreeFixtures,
    differing,
    for_root,
    kept,
    mounted,
    obstacle,
    refused,
)  # fmt: skip


def spec_of(name="job", **declared):
    if declared.get("state") != "absent":
        declared = {"command": "true", "schedule": "@daily", **declared}
    return make_spec("cron", name=name, **declared)


class CronFixtures(TreeFixtures):
    kind = "cron"

    @pytest.fixture(autouse=True)
    def _folder(self, root):
        (root / "etc/cron.d").mkdir()
        (root / "etc/cron.d").chmod(0o755)


class TestContract(CronFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [spec_of(), spec_of("other", schedule=None, minute="*/5", environment={"A": "b"})]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [spec_of(name, state="absent") for name in ("job", "other")]


class TestFile(CronFixtures):
    @pytest.mark.parametrize(
        ("declared", "lines"),
        [
            ({}, "@daily root true"),
            ({"schedule": "*/5  *  * * mon-fri"}, "*/5 * * * mon-fri root true"),
            ({"schedule": None, "minute": 30, "hour": "4"}, "30 4 * * * root true"),
            ({"user": "www-data"}, "@daily www-data true"),
            ({"command": "date +%F >/tmp/x"}, r"@daily root date +\%F >/tmp/x"),
            ({"command": r"date +\%F"}, r"@daily root date +\%F"),
            ({"command": r"a \\ \" \\%"}, r"@daily root a \\\ \" \\\%"),
            ({"command": ["echo", "a b", "$HOME", "%"]}, r"@daily root echo 'a b' '$HOME' \%"),
            ({"command": ["echo", r"\%", "\\"]}, r"@daily root echo '\\\%' '\'"),
            (
                {"environment": {"MAILTO": "", "A": 'say "x"', "B": " b"}},
                'MAILTO=""\nA=\'say "x"\'\nB=" b"\n@daily root true',
            ),
        ],
    )
    def test_content(self, provider, system, root, declared, lines):
        assert converge(provider, [spec_of(**declared)], system) == []
        text = (root / "etc/cron.d/job").read_text()
        assert text == f"# Managed by converge.\n{lines}\n"
        assert (root / "etc/cron.d/job").stat().st_mode & 0o777 == 0o644

    def test_what_cron_would_not_read_is_put_right(self, provider, system, root):
        converge(provider, [spec_of()], system)
        (root / "etc/cron.d/job").chmod(0o664)
        assert differing(plan(provider, [spec_of()], system)) == ["mode"]
        assert converge(provider, [spec_of()], system) == []

    @for_root
    def test_another_owner_is_put_right(self, provider, system, root):
        converge(provider, [spec_of()], system)
        os.chown(root / "etc/cron.d/job", 33, 33)
        assert differing(plan(provider, [spec_of()], system)) == ["owned"]
        assert converge(provider, [spec_of()], system) == []
        assert (root / "etc/cron.d/job").stat().st_uid == 0

    def test_another_file(self, provider, system, root):
        spec = spec_of(file="/etc/crontab")
        assert converge(provider, [spec], system) == []
        assert (root / "etc/crontab").exists()
        assert list(provider.claims(spec)) == ["path:/etc/crontab"]

    def test_what_is_removed_is_kept_as_a_backup(self, provider, system):
        converge(provider, [spec_of()], system)
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert list(kept(system)) == ["/etc/cron.d/job"]

    def test_without_cron_the_directory_is_named(self, provider, system, root):
        (root / "etc/cron.d").rmdir()
        refused(provider, system, spec_of(), "the directory /etc/cron.d is missing")

    def test_order(self, provider):
        found = set(provider.depends(spec_of(user="app")))
        assert {"package:cron", "user:app", "directory:/etc/cron.d"} <= found


class TestObstacles(CronFixtures):
    def test_read_only(self, provider, system, monkeypatch):
        mounted(system, monkeypatch, "/etc", read_only=True)
        assert obstacle(provider, system, spec_of()).reason == "/etc is mounted read-only"

    def test_mode_alone(self, provider, system, root):
        converge(provider, [spec_of()], system)
        (root / "etc/cron.d/job").chmod(0o600)
        system.capabilities = 0
        assert obstacle(provider, system, spec_of()) is None
        if ROOT:
            os.chown(root / "etc/cron.d/job", 33, 33)
            assert "CAP_CHOWN" in obstacle(provider, system, spec_of()).reason

    def test_a_mount_cannot_be_removed(self, provider, system, root, monkeypatch):
        converge(provider, [spec_of()], system)
        mounted(system, monkeypatch, "/etc/cron.d/job")
        assert "is a mount" in obstacle(provider, system, spec_of(state="absent")).reason

    def test_a_link_is_not_followed(self, provider, system, root):
        (root / "etc/cron.d/job").symlink_to("../passwd")
        found = provider.inspect([spec_of()], system.read_only())
        assert "cannot be read" in found["job"].reason


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "0,30 4-6 1-31/2 */3 sun", "59 23 31 12 7", "0 0 1 JAN,Feb Mon-Fri", "@reboot"],
)
def test_schedules(schedule):
    assert list(cron_schedule.problems(schedule)) == []


class TestDeclaration:
    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"name": "a.b"}, "not a name that cron reads"),
            ({"name": "a/b"}, "not a name that cron reads"),
            ({"command": None}, "needs a `command`"),
            ({"command": "a\nb"}, "one line of text"),
            ({"command": "x" * 999}, "cron takes 998 characters"),
            ({"schedule": None}, "when\\?"),
            ({"schedule": "* * * *"}, "has 4 fields, not five: minute hour day month weekday"),
            ({"schedule": "@nightly"}, "none of @reboot"),
            ({"schedule": "@daily", "minute": "5"}, "`schedule` says it already"),
            ({"schedule": "60 * * * *"}, "minute '60': '60' is not within 0-59"),
            ({"schedule": "* 24 * * *"}, "hour '24'"),
            ({"schedule": "* * 0 * *"}, "day '0'"),
            ({"schedule": "* * * 13 *"}, "within 1-12, or jan to dec"),
            ({"schedule": "* * * * 8"}, "weekday '8'"),
            ({"schedule": "* * * * moon"}, "weekday 'moon'"),
            ({"schedule": "*/0 * * * *"}, "'0' is no step"),
            ({"schedule": "5/10 * * * *"}, "a step needs a range, such as \\*/10"),
            ({"schedule": "30-10 * * * *"}, "the wrong way round"),
            ({"schedule": ", * * * *"}, "is not within"),
            ({"schedule": "٣ * * * *"}, "is not within"),
            ({"schedule": "1\u20282 * * * *"}, "minute|fields"),
            ({"schedule": None, "minute": "x"}, "minute 'x'"),
            ({"environment": {"A B": "c"}}, "no name of a variable"),
            ({"environment": {"A": "'\""}}, "both kinds of quotes"),
            ({"environment": {"A": "'b'"}}, "takes away quotes around"),
            ({"environment": {"A": "b "}}, "takes away .* spaces at its end"),
            ({"environment": {"A": "b\nc"}}, "one line of text"),
            ({"user": "a b"}, "not an account name"),
        ],
    )
    def test_problems(self, declared, message):
        with pytest.raises(AssertionError, match=message):
            spec_of(**declared)
