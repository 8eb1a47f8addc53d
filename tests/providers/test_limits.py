"""The kind `limits` against a fake root, and its rules."""

from __future__ import annotations

import resource

import pytest

from converge import kinds
from converge.provider import Spec
from converge.testing import ProviderContract, converge, make_spec, plan
from providers.fake_tree import TreeFixtures, mounted, obstacle

FILE = "etc/security/limits.d/60-converge.conf"
TEXT = """\
# comment
app  soft nofile   100   # ours
app  hard nofile   200
@ops -    nproc    50
app  soft nofile   300
odd line
"""


def spec_of(name="one", **declared):
    declared = {"domain": "app", "item": "nofile", **declared}
    if declared.get("state") != "absent":
        declared.setdefault("value", 100)
    return make_spec("limits", name=name, **declared)


def edited(body, **declared):
    """Return what an edit makes of a text; a second edit must find nothing to do."""
    provider, spec = kinds.load("limits"), spec_of(**declared)
    after = provider.edit(spec, body).body
    assert provider.edit(spec, after).body == after
    return after


class LimitsFixtures(TreeFixtures):
    kind = "limits"

    @pytest.fixture(autouse=True)
    def _folder(self, root):
        (root / FILE).parent.mkdir(parents=True)


class TestContract(LimitsFixtures, ProviderContract):
    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(),
            spec_of("two", type="soft", item="core", value="unlimited"),
            spec_of("three", domain="@ops", item="nice", value=-5),
        ]

    @pytest.fixture
    def absent(self) -> list[Spec]:
        return [
            spec_of(state="absent"),
            spec_of("two", type="soft", item="core", state="absent"),
            spec_of("three", domain="@ops", item="nice", state="absent"),
        ]


class TestFile(LimitsFixtures):
    def test_all_of_one_file_are_written_at_once(self, provider, system, root):
        specs = [spec_of(), spec_of("two", type="soft", item="core", value="unlimited")]
        assert converge(provider, specs, system) == []
        assert (root / FILE).read_text() == "app - nofile 100\napp soft core unlimited\n"
        assert (root / FILE).stat().st_mode & 0o777 == 0o644

    def test_the_last_entry_counts_and_the_others_go(self):
        after = edited(TEXT, type="soft", value=400)
        assert after == TEXT.replace("app  soft nofile   100   # ours\n", "").replace(
            "app  soft nofile   300", "app soft nofile 400"
        )

    def test_what_is_right_stays_as_it_is_written(self):
        assert edited(TEXT, type="hard", value=200) == TEXT
        assert edited(TEXT, domain="@ops", item="nproc", value=50) == TEXT

    def test_a_second_entry_goes_though_the_last_is_right(self):
        assert "# ours" not in edited(TEXT, type="soft", value=300)

    def test_entries_are_known_as_pam_limits_reads_them(self):
        """Types and items in any case (limits.conf(5)); words after the value are not looked at."""
        body = "app SOFT nofile 1\napp soft NOFILE 2\napp soft nofile 3 files\nApp soft nofile 4\n"
        assert edited(body, type="soft", state="absent") == "App soft nofile 4\n"
        after = edited(body, type="soft", value=3)
        assert after == "app soft nofile 3 files\nApp soft nofile 4\n"

    def test_absent(self):
        assert "app  soft" not in edited(TEXT, type="soft", state="absent")
        assert edited(TEXT, item="core", state="absent") == TEXT

    def test_a_new_entry_goes_to_the_end(self):
        assert edited(TEXT, item="core", value=0) == f"{TEXT}app - core 0\n"
        assert edited("x", item="core", value=0) == "x\napp - core 0\n"

    def test_a_change_is_told(self, provider, system, root):
        (root / FILE).write_text(TEXT)
        (change,) = plan(provider, [spec_of(type="hard", value=201)], system)
        assert [(f.field, f.before, f.after) for f in change.fields] == [("value", "200", "201")]


class TestObstacles(LimitsFixtures):
    @pytest.fixture(autouse=True)
    def _limited(self, monkeypatch):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 64 * 1024))

    @pytest.mark.parametrize(
        ("item", "most"), [("nofile", 65536), ("memlock", 64), ("cpu", 1092), ("rtprio", 65536)]
    )
    def test_more_than_the_container_has(self, provider, system, item, most):
        system.capabilities = 0
        assert obstacle(provider, system, spec_of(item=item, value=most)) is None
        for value in (most + 1, "unlimited"):
            found = obstacle(provider, system, spec_of(item=item, value=value))
            assert found.reason.startswith(f"the container's own limit is {most}, and")
            assert f"--ulimit {item}=" in found.remedy
        system.capabilities = 1 << 24
        assert obstacle(provider, system, spec_of(item=item, value="unlimited")) is None

    def test_where_the_container_has_no_limit(self, provider, system, monkeypatch):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (0, resource.RLIM_INFINITY))
        system.capabilities = 0
        assert obstacle(provider, system, spec_of(value="unlimited")) is None

    def test_what_is_no_limit_of_the_kernel(self, provider, system):
        system.capabilities = 0
        assert obstacle(provider, system, spec_of(item="maxlogins", value=10**9)) is None

    def test_a_priority_that_nobody_would_get(self, provider, system):
        system.capabilities = 0
        assert obstacle(provider, system, spec_of(item="priority", value=5)) is None
        found = obstacle(provider, system, spec_of(item="priority", value=-5))
        assert found.reason.startswith("without CAP_SYS_NICE every session")
        system.capabilities = 1 << 23
        assert obstacle(provider, system, spec_of(item="priority", value=-5)) is None

    def test_a_file_that_cannot_be_written(self, provider, system, monkeypatch):
        mounted(system, monkeypatch, "/etc", read_only=True)
        assert obstacle(provider, system, spec_of()).reason == "/etc is mounted read-only"


def test_order():
    provider = kinds.load("limits")
    assert "user:app" in set(provider.depends(spec_of()))
    assert "group:ops" in set(provider.depends(spec_of(domain="@ops")))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"domain": "a b"}, "one word"),
        ({"domain": "#a"}, "one word"),
        ({"item": "files"}, "must be"),
        ({"type": "both"}, "must be"),
        ({"value": None}, "a limit needs a `value`"),
        ({"value": "many"}, "'many' is no number, nor `unlimited`"),
        ({"value": -5}, "'-5' is no number"),
        ({"value": "٣"}, "is no number"),
        ({"item": "nice", "value": "unlimited"}, "'unlimited' is no number"),
        ({"item": "nice", "value": 20}, "nice is from -20 to 19"),
        ({"path": "/etc/security/limits.d/app"}, "must end in `.conf`"),
    ],
)
def test_problems(declared, message):
    with pytest.raises(AssertionError, match=message):
        spec_of(**declared)
