"""Facts: found when asked for, from files below the root and from the running kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from converge import __version__
from converge.facts import Facts, cgroup, network
from converge.facts import built_in as built_in_facts
from converge.read_only import ReadOnlySystem

DEBIAN = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def found(root):
    return Facts(ReadOnlySystem(str(root)), {})


class TestMapping:
    def test_names(self, found):
        assert list(found) == [
            "hostname", "fqdn", "os", "kernel", "architecture", "debian_architecture", "agent",
            "capabilities", "memory", "cpus", "processes", "cgroup", "network", "mounts", "container",
            "environment", "custom",
        ]  # fmt: skip
        assert len(found) == 17
        assert "os" in found
        assert "weather" not in found
        assert found.get("weather") is None
        with pytest.raises(KeyError):
            found["weather"]

    def test_looking_for_a_name_is_not_using_it(self, found):
        assert "os" in found
        assert list(found)
        assert found.used() == {}

    def test_used(self, found):
        assert found["hostname"] == os.uname().nodename
        assert found["os"]["id"] == "linux"
        assert found.used() == {"hostname": os.uname().nodename, "os": found["os"]}

    def test_found_once(self, found, root):
        assert found["os"]["id"] == "linux"
        (root / "etc/os-release").write_text(DEBIAN)
        assert found["os"]["id"] == "linux"
        assert Facts(ReadOnlySystem(str(root)))["os"]["id"] == "debian"

    def test_all_is_plain_data(self, found):
        everything = found.all()
        assert list(everything) == [name for name in found if name != "custom"]
        assert json.loads(json.dumps(everything)) == everything

    def test_facts_that_hold_still(self, found, root):
        assert found["os"]["id"] == "linux"
        used = json.loads(json.dumps(found.used()))
        assert Facts(ReadOnlySystem(str(root))).same(used)
        (root / "etc/os-release").write_text(DEBIAN)
        assert not Facts(ReadOnlySystem(str(root))).same(used)
        with pytest.raises(KeyError):
            Facts(ReadOnlySystem(str(root))).same({"weather": "fine"})


class TestEnvironment:
    """A catalog depends on the variables that it used, and holds no value of them."""

    @pytest.fixture
    def holds(self, root):
        """Return a function: how an environment is used, in two of them: is it the same?"""

        def check(use, before, after):
            first = Facts(ReadOnlySystem(str(root)), before)
            use(first["environment"])
            used = json.loads(json.dumps(first.used()))
            assert "secret" not in str(used)
            return Facts(ReadOnlySystem(str(root)), after).same(used)

        return check

    def test_one_variable(self, holds):
        def use(environment):
            assert environment["A"].startswith("secret")

        assert holds(use, {"A": "secret", "B": "1"}, {"A": "secret", "C": "2"})
        assert not holds(use, {"A": "secret"}, {"A": "secret2"})
        assert not holds(use, {"A": "secret"}, {})

    def test_one_that_is_not_there(self, holds):
        def use(environment):
            assert environment.get("A") is None

        assert holds(use, {}, {"B": "1"})
        assert not holds(use, {}, {"A": "1"})

    def test_all_names(self, holds):
        def use(environment):
            assert "A" in environment
            assert len(environment) == 2

        assert holds(use, {"A": "1", "B": "1"}, {"B": "2", "A": "2"})
        assert not holds(use, {"A": "1", "B": "1"}, {"A": "1", "B": "1", "C": "1"})

    def test_everything(self, holds):
        assert holds(dict, {"A": "1"}, {"A": "1"})
        assert not holds(dict, {"A": "1"}, {"A": "2"})
        assert holds(dict, {"A": "\udc80"}, {"A": "\udc80"})


class TestOs:
    def test_debian(self, found, root):
        (root / "usr/lib/os-release").write_text(DEBIAN)
        (root / "etc/os-release").symlink_to("../usr/lib/os-release")
        assert found["os"] == {
            "id": "debian", "like": [], "version": "12", "codename": "bookworm",
            "name": "Debian GNU/Linux",
        }  # fmt: skip

    def test_only_in_usr_lib(self, found, root):
        (root / "usr/lib/os-release").write_text('ID="rocky"\nID_LIKE="rhel centos fedora"\n')
        assert found["os"]["id"] == "rocky"
        assert found["os"]["like"] == ["rhel", "centos", "fedora"]

    def test_without_os_release(self, found):
        expected = {"id": "linux", "like": [], "version": "", "codename": "", "name": "Linux"}
        assert found["os"] == expected

    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("A=b", "b"),
            ("  A=b  ", "b"),
            ("A=", ""),
            ('A="b c"', "b c"),
            ("A='b \" c'", 'b " c'),
            (r'A="b \"c\" \$d \\ \`e\` \n"', 'b "c" $d \\ `e` \\n'),
            ('A="', ""),
            ("A=b=c", "b=c"),
        ],
    )
    def test_quoting(self, line, value):
        assert built_in_facts.os_release(f"# A=x\n\nnonsense\n{line}\n") == {"A": value}


class TestHost:
    def test_fqdn_from_hosts(self, found, root):
        host = os.uname().nodename
        (root / "etc/hosts").write_text(
            f"127.0.0.1 localhost\n10.0.0.1 other.example {host}x\n"
            f"10.0.0.2 {host}.web.svc.example {host} # {host}\n10.0.0.3 {host}.late.example {host}\n"
        )
        assert found["fqdn"] == f"{host}.web.svc.example"

    @pytest.mark.parametrize("text", ["", "\n", "127.0.0.1\n", "10.0.0.2 {host} {host}.example\n"])
    def test_fqdn_is_the_host_name_otherwise(self, found, root, text):
        host = os.uname().nodename
        (root / "etc/hosts").write_text(text.format(host=host))
        assert found["fqdn"] == host

    def test_kernel_and_architecture(self, found):
        assert found["kernel"]["name"] == "Linux"
        assert found["kernel"]["release"] == os.uname().release
        assert found["architecture"] == os.uname().machine

    @pytest.mark.parametrize(
        ("machine", "largest", "name"),
        [
            ("x86_64", 2**63 - 1, "amd64"),
            ("x86_64", 2**31 - 1, "i386"),
            ("aarch64", 2**63 - 1, "arm64"),
            ("riscv64", 2**63 - 1, "riscv64"),
        ],
    )
    def test_debian_architecture(self, found, monkeypatch, machine, largest, name):
        monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "6", "v", machine)))
        monkeypatch.setattr(sys, "maxsize", largest)
        assert found["debian_architecture"] == name


class TestAgent:
    def test_agent(self, found):
        assert found["agent"]["version"] == __version__
        assert found["agent"]["uid"] == os.geteuid()
        assert found["agent"]["gid"] == os.getegid()

    def test_a_user_without_a_line_in_passwd(self, found, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000700000)
        assert found["agent"]["uid"] == 1000700000
        assert found["agent"]["user"] is None

    def test_capabilities_of_the_default_container(self):
        assert built_in_facts.capabilities(0x800405FB) == [
            "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
            "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_SETFCAP",
        ]  # fmt: skip

    def test_capabilities_at_the_ends(self):
        assert built_in_facts.capabilities(0) == []
        assert built_in_facts.capabilities(1 << 40) == ["CAP_CHECKPOINT_RESTORE"]
        assert built_in_facts.capabilities(1 << 45) == ["CAP_45"]

    def test_own_capabilities(self, found):
        assert ("CAP_CHOWN" in found["capabilities"]) == ReadOnlySystem("/").capable(0)


class TestResources:
    def test_memory_and_cpus(self, found):
        assert found["memory"]["total"] > 1 << 20
        assert set(found["memory"]) == {"total", "limit", "swap_limit"}
        assert 0 < found["memory"]["limit"] <= found["memory"]["total"]
        assert found["cpus"]["count"] == len(os.sched_getaffinity(0))
        assert 0 < found["cpus"]["limit"] <= found["cpus"]["count"]

    def test_limits_are_numbers_where_none_is_set(self, found, monkeypatch):
        for name in ("memory_limit", "swap_limit", "process_limit", "cpu_limit"):
            monkeypatch.setattr(cgroup, name, lambda: None)
        assert found["memory"]["limit"] == found["memory"]["total"]
        assert found["memory"]["swap_limit"] >= 0
        assert found["cpus"]["limit"] == found["cpus"]["count"]
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            assert found["processes"]["limit"] == int(file.read())

    def test_limits_that_are_set(self, found, monkeypatch):
        for name, value in (("memory", 4096), ("swap", 0), ("process", 7), ("cpu", 0.25)):
            monkeypatch.setattr(cgroup, f"{name}_limit", lambda value=value: value)
        assert (found["memory"]["limit"], found["memory"]["swap_limit"]) == (4096, 0)
        assert (found["processes"]["limit"], found["cpus"]["limit"]) == (7, 0.25)

    def test_a_limit_of_more_than_there_is(self, found, monkeypatch):
        monkeypatch.setattr(cgroup, "memory_limit", lambda: 1 << 59)
        assert found["memory"]["limit"] == found["memory"]["total"]

    def test_network(self, found):
        loopback = found["network"]["interfaces"]["lo"]
        assert set(loopback) == {"ipv4", "ipv6", "mac"}
        assert set(found["network"]) == {
            "interfaces", "default_interface", "default_gateway", "ipv4", "ipv6",
        }  # fmt: skip

    def test_own_addresses(self, monkeypatch):
        interfaces = {"eth0": {"ipv4": ["10.0.0.2"], "ipv6": ["fe80::1", "fd00::2"], "mac": []}}
        monkeypatch.setattr(network, "_interfaces", lambda: interfaces)
        monkeypatch.setattr(network, "default_interface", lambda: "eth0")
        assert (network.network()["ipv4"], network.network()["ipv6"]) == ("10.0.0.2", "fd00::2")
        monkeypatch.setattr(network, "default_interface", lambda: None)
        assert (network.network()["ipv4"], network.network()["ipv6"]) == (None, None)

    def test_default_interface(self, tmp_path):
        table = tmp_path / "route"
        head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        table.write_text(
            head + "eth1\t00000000\t010011AC\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
            "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
            "eth2\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        )
        assert network.default_interface(str(table)) == "eth0"
        assert network.default_gateway(str(table)) == "172.17.0.1"
        table.write_text(head)
        assert network.default_interface(str(table)) is None
        assert network.default_interface(f"{tmp_path}/none") is None

    def test_mounts(self):
        mounts = Facts(ReadOnlySystem("/"))["mounts"]
        assert {"path", "type", "source", "read_only"} <= set(mounts[0])
        assert "/proc" in [mount["path"] for mount in mounts]


class TestContainer:
    def test_hints(self, root):
        (root / "run").mkdir()
        (root / "run/.containerenv").touch()
        found = Facts(ReadOnlySystem(str(root)), {"container": "podman", "X": "1"})
        assert found["environment"] == {"container": "podman", "X": "1"}
        assert found["container"]["hints"] == {
            "/run/.containerenv": True,
            "/.dockerenv": False,
            "/run/host/container-manager": False,
            "/dev/lxd/sock": False,
            "container": "podman",
            "KUBERNETES_SERVICE_HOST": None,
        }

    def test_how_it_was_started(self, found):
        with open("/proc/1/comm", encoding="utf-8") as file:
            assert found["container"]["pid_1"] == file.read().strip()
        assert isinstance(found["container"]["user_namespace"], bool)
        assert isinstance(found["container"]["read_only_root"], bool)


def test_nothing_costly_is_imported_until_it_is_needed():
    script = (
        "import sys; from converge.facts import Facts; from converge.read_only import ReadOnlySystem\n"
        "facts = Facts(ReadOnlySystem('/'))\n"
        "for name in facts:\n"
        "    name == 'network' or facts[name]\n"
        "print(*{'psutil', 'socket', 'subprocess', 'logging', 'dataclasses', 'yaml'} & {*sys.modules})\n"
        "facts['network']; print('psutil' in sys.modules)\n"
    )
    found = subprocess.run(
        [sys.executable, "-Ic", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "\nTrue\n"
