"""The kind `sysctl` against a fake /proc/sys tree: plain files below a scratch root."""

from __future__ import annotations

import errno
import os

import pytest

from converge import kinds
from converge.backup import Backups
from converge.errors import ApplyError, BatchError, CannotManageError
from converge.journal import Journal
from converge.models import schema_of, validate
from converge.mounts import Mount
from converge.provider import Spec, Unmanageable
from converge.testing import FakeSystem, ProviderContract, converge, make_spec, plan, snapshot
from converge_resources.sysctl import SysctlSpec, SysctlState
from converge_resources.sysctl_obstacles import in_first_namespace

DROP_IN = "/etc/sysctl.d/60-converge.conf"
LIVE = {
    "net/core/somaxconn": "4096\n",
    "net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
    "net/ipv4/ip_forward": "0\n",
    "net/ipv4/conf/eth0.100/forwarding": "0\n",
    "kernel/sem": "32000\t1024000000\t500\t32000\n",
    "kernel/hostname": "web1\n",
    "vm/swappiness": "60\n",
}
NET_ADMIN = 1 << 12


class Kernel(FakeSystem):
    """A fake system whose kernel refuses some keys, by error number."""

    def __init__(self, *rest, **options):
        super().__init__(*rest, **options)
        self.refuses: dict[str, int] = {}
        self.written: list[tuple[str, bytes]] = []

    def write_kernel(self, path, content):
        number = self.refuses.get(path)
        if number:
            raise OSError(number, os.strerror(number), path)
        self.written.append((path, content))
        super().write_kernel(path, content)


@pytest.fixture
def provider():
    return kinds.load("sysctl")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "etc/sysctl.d").mkdir(parents=True)
    for name, value in LIVE.items():
        path = root / "proc/sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    return root


@pytest.fixture
def system(root, tmp_path):
    (tmp_path / "state").mkdir()
    return Kernel(root, backups=Backups(str(tmp_path / "state")))


@pytest.fixture
def drop_in(root):
    return root / DROP_IN[1:]


def spec_of(name="net.core.somaxconn", **declared) -> Spec:
    return make_spec("sysctl", name=name, **declared)


def live(root, name):
    return (root / "proc/sys" / name).read_text()


def obstacle(provider, spec, system) -> Unmanageable | None:
    return provider.obstacles(plan(provider, [spec], system), system.read_only()).get(spec.name)


def refused(**declared) -> str:
    spec, problems = validate(SysctlSpec, {"name": "net.core.somaxconn", **declared})
    assert spec is None
    assert problems
    return "; ".join(f"{place[0]}: {message}" for place, message in problems)


class TestContract(ProviderContract):
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


class TestSpec:
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
        assert list(provider.claims(spec)) == ["sysctl:net.ipv4.conf.eth0.rp_filter"]
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


class TestInspect:
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
        assert (change.before.value, change.after.value) == (None, "1")
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
        monkeypatch.setattr(system, "text", lambda p, **o: read.append(p) or texts(p, **o))
        provider.inspect([spec_of(value=1), spec_of("kernel.sem", value="1 2 3 4")], system)
        assert read.count(DROP_IN) == 1

    def test_absent_looks_at_the_file_alone(self, provider, system, drop_in):
        spec = spec_of("net.core.nothing", state="absent")
        assert provider.inspect([spec], system) == {}
        drop_in.write_text("net.core.nothing = 1\n")
        assert provider.inspect([spec], system) == {spec.name: SysctlState(persisted="1")}


class TestPersist:
    def test_by_default_where_it_can_be(self, provider, system, drop_in):
        assert converge(provider, [spec_of(value=4096)], system) == []
        assert drop_in.read_text() == "net.core.somaxconn = 4096\n"
        assert system.written == []  # the live value held

    def test_by_default_not_without_the_directory(self, provider, system, root):
        (root / "etc/sysctl.d").rmdir()
        assert plan(provider, [spec_of(value=4096)], system) == []

    def test_by_default_not_on_a_read_only_mount(self, provider, system):
        self.read_only(system, "/etc")
        assert plan(provider, [spec_of(value=4096)], system) == []

    def test_true_is_a_must(self, provider, system):
        self.read_only(system, "/etc")
        found = obstacle(provider, spec_of(value=4096, persist=True), system)
        assert found.reason == "/etc is mounted read-only"

    def test_a_line_alone_is_a_must(self, provider, system):
        self.read_only(system, "/etc")
        found = obstacle(provider, spec_of(value=4096, live=False), system)
        assert found.reason == "/etc is mounted read-only"

    def test_true_makes_the_directory(self, provider, system, root, drop_in):
        (root / "etc/sysctl.d").rmdir()
        assert converge(provider, [spec_of(value=4096, persist=True)], system) == []
        assert drop_in.parent.stat().st_mode & 0o7777 == 0o755
        assert drop_in.stat().st_mode & 0o7777 == 0o644

    def test_but_not_a_whole_path(self, provider, system):
        spec = spec_of(value=4096, persist=True, file="/opt/a/b/c.conf")
        with pytest.raises(BatchError, match="declare it as a `directory` resource"):
            converge(provider, [spec], system)

    def test_false_leaves_the_file(self, provider, system, drop_in):
        assert converge(provider, [spec_of(value=1, persist=False)], system) == []
        assert not drop_in.exists()

    def test_not_live_leaves_the_kernel(self, provider, system, root, drop_in):
        assert converge(provider, [spec_of(value=1, live=False)], system) == []
        assert live(root, "net/core/somaxconn") == "4096\n"
        assert drop_in.read_text() == "net.core.somaxconn = 1\n"

    def test_other_lines_stay(self, provider, system, drop_in):
        theirs = "# why\n\n; old\nvm.swappiness=10\nnot a setting\nnet.ipv4.conf.*.rp_filter = 2\n"
        drop_in.write_text(theirs + "-net/core/somaxconn = 1\n# end\nnet.core.somaxconn = 2")
        assert converge(provider, [spec_of(value=3)], system) == []
        assert drop_in.read_text() == theirs + "net.core.somaxconn = 3\n# end\n"
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert drop_in.read_text() == theirs + "# end\n"

    def test_bytes_that_are_no_utf8_stay(self, provider, system, drop_in):
        drop_in.write_bytes(b"# caf\xe9\n")
        assert converge(provider, [spec_of(value=3)], system) == []
        assert drop_in.read_bytes() == b"# caf\xe9\nnet.core.somaxconn = 3\n"

    def test_the_last_line_takes_the_file(self, provider, system, drop_in):
        converge(provider, [spec_of(value=3)], system)
        assert converge(provider, [spec_of(state="absent")], system) == []
        assert not drop_in.exists()

    def test_mode_and_owner_stay(self, provider, system, drop_in):
        drop_in.write_text("vm.swappiness=10\n")
        drop_in.chmod(0o640)
        converge(provider, [spec_of(value=3)], system)
        assert drop_in.stat().st_mode & 0o7777 == 0o640

    def test_one_rewrite_for_a_batch(self, provider, system, monkeypatch):
        writes, write = [], system.write
        monkeypatch.setattr(system, "write", lambda p, *a, **o: writes.append(p) or write(p, *a))
        specs = [
            spec_of(value=3),
            spec_of("kernel.sem", value="1 2 3 4"),
            spec_of("vm.swappiness", value=1),
        ]
        assert converge(provider, specs, system) == []
        assert writes == [DROP_IN]

    def test_a_symbolic_link_is_named(self, provider, system, root):
        (root / "etc/sysctl.conf").write_text("net.core.somaxconn = 1\n")
        (root / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
        spec = spec_of(value=4096, file="/etc/sysctl.d/99-sysctl.conf", persist=True)
        assert "symbolic link" in obstacle(provider, spec, system).reason
        assert plan(provider, [spec.replace(persist=None)], system) == []

    def test_no_backup_no_change(self, provider, root, drop_in):
        drop_in.write_text("vm.swappiness=10\n")
        with pytest.raises(BatchError, match="no backup"):
            converge(provider, [spec_of(value=4096)], FakeSystem(root))
        assert drop_in.read_text() == "vm.swappiness=10\n"

    def test_in_sync_touches_nothing(self, provider, system, root, drop_in):
        drop_in.write_text("net.core.somaxconn = 0x1000\n")
        before = snapshot(str(root))
        assert converge(provider, [spec_of(value=4096)], system) == []
        assert snapshot(str(root)) == before
        assert system.written == []

    @staticmethod
    def read_only(system, path):
        mount = Mount(path=path, type="ext4", source="/dev/sda", read_only=True)
        system.paths.forget()
        system.mounts = lambda: {path: mount}
        view = system.read_only()
        view.mounts = system.mounts
        system.read_only = lambda: view


class TestApply:
    def test_one_write_with_a_newline(self, provider, system, root):
        spec = spec_of("net.ipv4.tcp_rmem", value="1\t2 0x3", persist=False)
        assert converge(provider, [spec], system) == []
        assert system.written == [("/proc/sys/net/ipv4/tcp_rmem", b"1 2 3\n")]
        assert live(root, "net/ipv4/tcp_rmem") == "1 2 3\n"

    def test_a_part_of_a_vector_is_refused(self, provider, system, root):
        spec = spec_of("kernel.sem", value="250 32000")
        with pytest.raises(
            BatchError, match=r"4 field\(s\) for kernel\.sem, now '32000 "
        ) as caught:
            converge(provider, [spec], system)
        assert "'250 32000' has 2" in str(caught.value)
        assert live(root, "kernel/sem") == LIVE["kernel/sem"]

    def test_words_have_no_fixed_number(self, provider, system, root):
        path = root / "proc/sys/kernel/core_pattern"
        path.write_text("core\n")
        spec = spec_of("kernel.core_pattern", value="|/bin/false %p 010", persist=False)
        assert converge(provider, [spec], system) == []
        assert path.read_text() == "|/bin/false %p 010\n"

    def test_what_the_kernel_refuses_is_not_persisted(self, provider, system, drop_in):
        system.refuses = {"/proc/sys/net/core/somaxconn": errno.EINVAL}
        specs = [spec_of(value=-1), spec_of("net.ipv4.ip_forward", value=1)]
        with pytest.raises(BatchError) as caught:
            converge(provider, specs, system)
        [(name, error)] = caught.value.errors.items()
        assert name == "net.core.somaxconn"
        assert isinstance(error, ApplyError)
        assert "refuses '-1': Invalid argument (the value is not one" in str(error)
        assert drop_in.read_text() == "net.ipv4.ip_forward = 1\n"

    @pytest.mark.parametrize(
        ("number", "family", "words"),
        [
            (errno.EROFS, CannotManageError, "Read-only file system"),
            (errno.EACCES, CannotManageError, "Permission denied"),
            (errno.EPERM, CannotManageError, "Operation not permitted"),
            (errno.ENOENT, ApplyError, "module loaded"),
            (errno.ERANGE, ApplyError, "out of its range"),
            (errno.EBUSY, ApplyError, "Device or resource busy"),
        ],
    )
    def test_errors_of_the_kernel(self, provider, system, number, family, words):
        system.refuses = {"/proc/sys/net/core/somaxconn": number}
        with pytest.raises(BatchError) as caught:
            converge(provider, [spec_of(value=1)], system)
        error = caught.value.errors["net.core.somaxconn"]
        assert type(error) is family
        assert words in str(error)

    def test_a_file_that_fails_fails_its_keys_alone(self, provider, system, monkeypatch):
        def write(path, *rest, **options):
            if path == DROP_IN:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
            return Kernel.write(system, path, *rest, **options)

        monkeypatch.setattr(system, "write", write)
        specs = [spec_of(value=1), spec_of("vm.swappiness", value=1, file="/etc/sysctl.d/b.conf")]
        with pytest.raises(BatchError) as caught:
            converge(provider, specs, system)
        assert list(caught.value.errors) == ["net.core.somaxconn"]
        assert isinstance(caught.value.errors["net.core.somaxconn"], CannotManageError)

    def test_a_mounted_file_is_written_in_place(self, provider, root, tmp_path, drop_in):
        drop_in.write_text("# mine\n")
        (tmp_path / "state").mkdir()
        system = FakeSystem(
            root,
            backups=Backups(str(tmp_path / "state")),
            journal=Journal(str(tmp_path / "state/journal")),
        )
        system.is_mount_point = lambda path: path == DROP_IN
        inode = drop_in.stat().st_ino
        assert converge(provider, [spec_of(value=1)], system) == []
        assert drop_in.read_text() == "# mine\nnet.core.somaxconn = 1\n"
        assert drop_in.stat().st_ino == inode


class TestObstacles:
    def own(self, root, namespace, inode):
        folder = root / "proc/self/ns"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / namespace).symlink_to(f"{namespace}:[{inode}]")

    def read_only(self, system, path="/proc/sys"):
        TestPersist.read_only(system, path)

    def test_none_for_what_can_be_set(self, provider, system):
        assert obstacle(provider, spec_of(value=1), system) is None

    def test_read_only_and_namespaced(self, provider, system):
        self.read_only(system)
        found = obstacle(provider, spec_of(value=1), system)
        assert found.reason == "/proc/sys is mounted read-only"
        assert "--sysctl net.core.somaxconn=1, or set it in the pod's secur" in found.remedy
        found = obstacle(provider, spec_of("net.ipv4.tcp_rmem", value="1 2 3"), system)
        assert '--sysctl net.ipv4.tcp_rmem="1 2 3"' in found.remedy

    def test_read_only_but_holding(self, provider, system, drop_in):
        self.read_only(system)
        assert obstacle(provider, spec_of(value=4096), system) is None
        assert converge(provider, [spec_of(value=4096)], system) == []
        assert drop_in.exists()

    def test_read_only_and_differing_is_all_unmanageable(self, provider, system):
        self.read_only(system)
        assert obstacle(provider, spec_of(value=1, persist=True), system) is not None

    def test_read_only_host_name(self, provider, system):
        self.read_only(system)
        found = obstacle(provider, spec_of("kernel.hostname", value="web2"), system)
        assert "--hostname" in found.remedy

    def test_read_only_and_host_wide(self, provider, system):
        self.read_only(system)
        found = obstacle(provider, spec_of("vm.swappiness", value=1), system)
        assert found.remedy == "host-wide: set it on the host (node)"

    def test_read_only_in_the_hosts_network(self, provider, system, root):
        self.read_only(system)
        (root / "proc/sys/net/core/netdev_max_backlog").write_text("1000\n")
        found = obstacle(provider, spec_of(value=1), system)
        assert found.remedy == "host-wide: set it on the host (node)"

    def test_host_wide_is_refused_though_it_could_be_written(self, provider, system):
        spec = spec_of("vm.swappiness", value=1)
        found = obstacle(provider, spec, system)
        assert found.reason.startswith("not namespaced: would change the host")
        assert "`host_wide: true`" in found.remedy
        assert obstacle(provider, spec.replace(host_wide=True), system) is None

    def test_a_key_unknown_to_the_table_is_host_wide(self, provider, system, root):
        (root / "proc/sys/new").mkdir()
        (root / "proc/sys/new/key").write_text("1")
        assert (
            "would change the host"
            in obstacle(provider, spec_of("new.key", value=2), system).reason
        )

    def test_namespaced_in_the_hosts_namespace(self, provider, system, root):
        self.own(root, "ipc", 0xEFFFFFFF)
        spec = spec_of("kernel.sem", value="1 2 3 4")
        found = obstacle(provider, spec, system)
        assert found.reason == "would change the host, whose ipc namespace this container shares"
        assert obstacle(provider, spec.replace(host_wide=True), system) is None

    def test_network_of_the_host_by_its_key(self, provider, system, root):
        (root / "proc/sys/net/core/netdev_max_backlog").write_text("1000\n")
        found = obstacle(provider, spec_of(value=1), system)
        assert "whose network namespace this container shares" in found.reason

    @pytest.mark.parametrize(
        ("namespace", "first"),
        [
            ("net", 4026531833),
            ("ipc", 4026531839),
            ("uts", 4026531838),
            ("user", 4026531837),
            ("pid", 4026531836),
        ],
    )
    def test_first_namespaces(self, system, root, namespace, first):
        assert not in_first_namespace(system, namespace)  # not to be seen: taken as our own
        self.own(root, namespace, first)
        assert in_first_namespace(system, namespace)
        (root / "proc/self/ns" / namespace).unlink()
        self.own(root, namespace, 4026532181)
        assert not in_first_namespace(system, namespace)

    def test_missing(self, provider, system):
        found = obstacle(provider, spec_of("net.core.nothing", value=1), system)
        assert found.reason == "this kernel, or this network namespace, does not have it"
        found = obstacle(provider, spec_of("fs.nothing", value=1), system)
        assert found.reason == "this kernel does not have it"
        found = obstacle(provider, spec_of("net.core.netdev_max_backlog", value=1), system)
        assert "only there in the host's network namespace" in found.reason

    def test_no_kernel_below_the_root_prefix(self, provider, tmp_path):
        (tmp_path / "etc/sysctl.d").mkdir(parents=True)
        system = FakeSystem(tmp_path)
        assert "no /proc/sys below --root" in obstacle(provider, spec_of(value=1), system).reason
        assert converge(provider, [spec_of(value=1, live=False)], system) == []

    def test_read_only_by_mode(self, provider, system, root):
        path = root / "proc/sys/net/core/rmem_max"
        path.write_text("212992\n")
        path.chmod(0o444)
        found = obstacle(provider, spec_of("net.core.rmem_max", value=1), system)
        assert "only be written in the host's network namespace" in found.reason
        path = root / "proc/sys/kernel/ostype"
        path.write_text("Linux\n")
        path.chmod(0o444)
        found = obstacle(provider, spec_of("kernel.ostype", value="BSD"), system)
        assert found.reason == "the kernel lets nobody write it"

    def test_capability(self, provider, system):
        spec = spec_of("net.ipv4.ip_forward", value=1)
        assert obstacle(provider, spec, system) is None
        system.capabilities &= ~NET_ADMIN
        found = obstacle(provider, spec, system)
        assert found.reason == "writing it needs CAP_NET_ADMIN"
        assert found.remedy.startswith("run with --cap-add NET_ADMIN, or start the container with")
        assert obstacle(provider, spec_of(value=1), system) is None

    def test_permission(self, provider, system, monkeypatch):
        monkeypatch.setattr("converge.probe.may_write", lambda system, path: "sys/net" not in path)
        found = obstacle(provider, spec_of(value=1), system)
        assert found.reason == f"uid {os.geteuid()} may not write it"
        assert found.remedy.startswith("run as root, or start the container with --sysctl")

    def test_absent_asks_about_the_file_alone(self, provider, system, drop_in):
        drop_in.write_text("vm.swappiness = 1\n")
        assert obstacle(provider, spec_of("vm.swappiness", state="absent"), system) is None
        TestPersist.read_only(system, "/etc")
        found = obstacle(provider, spec_of("vm.swappiness", state="absent"), system)
        assert found.reason == "/etc is mounted read-only"
