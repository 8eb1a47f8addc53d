"""The kind `sysctl`: what may be declared, and what is read."""

from __future__ import annotations

import errno
import os

import pytest

from converge.language.models import schema_of, validate
from converge.provider import Spec, Unmanageable
from converge.testing import ProviderContract, plan
from converge_resources.sysctl import SysctlSpec, SysctlState
from providers.fake_sysctl import (
    DROP_IN,
    SysctlFixtures,
    spec_of,
)


def refused(**declared) -> str:
    spec, problems = validate(SysctlSpec, {"name": "net.core.somaxconn", **declared})
    assert spec is None
    assert problems
    return "; ".join(f"{place[0]}: {message}" for place, message in problems)


class TestContract(SysctlFixtures, ProviderContract):
    kind = "sysctl"

    @pytest.fixture
    def present(self) -> list[Spec]:
        return [
            spec_of(value=2048),
            spec_of("net/ipv4/tcp_rmem", value="4096  87380 6291456"),
            spec_of("kernel.sem", value="250 32000 0x20 128", persist=True),
            spec_of("net.ipv4.conf.eth0/100.forwarding", value=1, file="/etc/sysctl.d/a.conf"),
        ]

    @pytest.fixture
    def absent(self, present) -> list[Spec]:
        return [spec_of(spec.name, state="absent", file=spec.file) for spec in present]


class TestSpec(SysctlFixtures):
    def test_attributes_and_defaults(self):
        spec = spec_of(value=1)
        assert spec.as_dict() == {
            "name": "net.core.somaxconn",
            "state": "present",
            "value": "1",
            "live": True,
            "persist": None,
            "file": DROP_IN,
            "host_wide": False,
            "ignore_missing": False,
        }

    def test_every_attribute_is_described(self):
        properties = schema_of(SysctlSpec)["properties"]
        assert set(properties) == set(SysctlSpec.field_names)
        assert all("description" in each for each in properties.values())
        assert {"type": "integer"} in properties["value"]["anyOf"]

    @pytest.mark.parametrize(
        "spelling",
        [
            "net.ipv4.conf.eth0/100.forwarding",
            "net.ipv4.conf.eth0.100.forwarding",
            "net/ipv4/conf/eth0.100/forwarding",
        ],
    )
    def test_one_key_in_three_spellings(self, spelling):
        assert spec_of(spelling, value=1).name == "net.ipv4.conf.eth0/100.forwarding"

    @pytest.mark.parametrize(
        "name",
        [
            "..",
            "../../etc/passwd",
            "net/../../../etc/passwd",
            "net.ipv4.conf.//.forwarding",
            "net//core",
            "net..core",
            "/proc/sys/net/core/somaxconn",
            "net.core.somaxconn ",
            "net core.somaxconn",
            "net.core.somaxconn\n",
            "net.core.somaxconn\0",
            "net.core.some=1",
            "net.ipv4.conf.*.rp_filter",
            "-net.core.somaxconn",
            "#net.core.somaxconn",
            "somaxconn",
            ".",
            "",
        ],
    )
    def test_hostile_and_wrong_keys(self, name):
        assert "is not a sysctl key" in refused(name=name, value=1)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (True, "write 1 or 0"),
            (False, "write 1 or 0"),
            ("", "an empty value"),
            (" \t ", "an empty value"),
            ("1\nkernel.modprobe = /tmp/x", "line breaks"),
            ("1\r2", "control characters"),
            ("1\0", "control characters"),
            (1.5, "1.5"),
            (["4096", "87380"], "4096"),
            (None, "needs a `value`"),
        ],
    )
    def test_wrong_values(self, value, message):
        assert message in refused(value=value)

    def test_rules_across_attributes(self):
        assert "live value cannot be unset" in refused(state="absent", persist=False)
        assert "nothing would be managed" in refused(value=1, live=False, persist=False)
        assert "must end in `.conf`" in refused(value=1, file="/etc/sysctl.d/60-converge")
        assert "needs a `value`" in refused()
        assert spec_of(state="absent", value=1).state == "absent"

    def test_names_the_unknown(self):
        assert "unknown attribute `reload`" in refused(value=1, reload=True)

    def test_claims_and_depends(self, provider):
        spec = spec_of("net.ipv4.conf.eth0.rp_filter", value=1)
        key = "net.ipv4.conf.eth0.rp_filter"
        line = f"part:/etc/sysctl.d/60-converge.conf\0sysctl {key}"
        assert list(provider.claims(spec)) == [f"sysctl:{key}", line]
        assert list(provider.claims(spec.replace(persist=False))) == [f"sysctl:{key}"]
        depends = list(provider.depends(spec))
        assert "directory:/etc/sysctl.d" in depends
        assert "sysctl:net.ipv4.ip_forward" in depends
        assert "sysctl:net.ipv4.conf.all.rp_filter" in depends
        assert list(provider.depends(spec_of(value=1, persist=False))) == []
        of_all = provider.depends(spec_of("net.ipv6.conf.all.forwarding", value=1, persist=False))
        assert list(of_all) == []

    def test_desired(self, provider):
        assert provider.desired(spec_of(state="absent")) is None
        wanted = provider.desired(spec_of(value=" 0x1000   1 "))
        assert wanted == SysctlState(value="4096 1", persisted="4096 1")
        assert provider.desired(spec_of(value=1, live=False)).value is None
        assert provider.desired(spec_of(value=1, persist=False)).persisted is None


class TestInspect(SysctlFixtures):
    def test_tabs_are_spaces(self, provider, system):
        spec = spec_of("net.ipv4.tcp_rmem", value="4096 131072 6291456", persist=False)
        assert plan(provider, [spec], system) == []

    def test_reads_both(self, provider, system, drop_in):
        drop_in.write_text("# ours\nnet/core/somaxconn=\t0x10\nnet.core.somaxconn = 0x20\n")
        found = provider.inspect([spec_of(value=1)], system)
        assert found == {"net.core.somaxconn": SysctlState(value="4096", persisted="32")}

    def test_a_key_that_is_not_there(self, provider, system):
        spec = spec_of("net.core.nothing", value=1, persist=False)
        [change] = plan(provider, [spec], system)
        assert [(f.field, f.before, f.after) for f in change.fields] == [("value", None, "1")]
        fine = spec.replace(ignore_missing=True)
        assert plan(provider, [fine], system) == []

    def test_a_directory_of_keys(self, provider, system):
        found = provider.inspect([spec_of("net.core", value=1)], system)["net.core"]
        assert "directory of keys" in found.reason

    def test_a_key_that_can_only_be_written(self, provider, system, root):
        path = root / "proc/sys/vm/drop_caches"
        path.write_text("0")
        path.chmod(0o200)
        found = provider.inspect([spec_of("vm.drop_caches", value=3)], system)["vm.drop_caches"]
        assert "can only be written" in found.reason

    def test_a_key_that_cannot_be_read(self, provider, system):
        def deny(path, **options):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)

        system.text = deny
        spec = spec_of(value=1, persist=False)
        found = provider.inspect([spec], system)[spec.name]
        assert found == Unmanageable(reason="cannot be read: Permission denied")

    def test_a_key_without_a_value_yet(self, provider, system, root, monkeypatch):
        (root / "proc/sys/net/ipv6/conf/all").mkdir(parents=True)
        (root / "proc/sys/net/ipv6/conf/all/stable_secret").write_text("")

        def unset(path, **options):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

        monkeypatch.setattr(system, "text", unset)
        spec = spec_of("net.ipv6.conf.all.stable_secret", value="2001:db8::1", persist=False)
        assert provider.inspect([spec], system)[spec.name] == SysctlState(value=None)

    def test_one_reading_of_the_file_for_all(self, provider, system, monkeypatch):
        read, texts = [], system.text

        def count(path, **options):
            read.append(path)
            return texts(path, **options)

        monkeypatch.setattr(system, "text", count)
        provider.inspect([spec_of(value=1), spec_of("kernel.sem", value="1 2 3 4")], system)
        assert read.count(DROP_IN) == 1

    def test_absent_looks_at_the_file_alone(self, provider, system, drop_in):
        spec = spec_of("net.core.nothing", state="absent")
        assert provider.inspect([spec], system) == {}
        drop_in.write_text("net.core.nothing = 1\n")
        assert provider.inspect([spec], system) == {spec.name: SysctlState(persisted="1")}
