"""Keys, values, drop-in files and the table of namespaces of the kind `sysctl`."""

from __future__ import annotations

import pytest

from converge_resources.sysctls import keys
from converge_resources.sysctls.table import (
    CAPABILITIES,
    FIRST_NETWORK_KEY,
    HOST,
    TABLE,
    capability_for,
    namespace_of,
)

NAMESPACES = {
    "net": """
        net.core.somaxconn net.core.optmem_max net.core.xfrm_acq_expires net.ipv4.ip_forward
        net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_rmem
        net.ipv4.tcp_wmem net.ipv4.tcp_keepalive_time net.ipv4.tcp_congestion_control
        net.ipv4.tcp_tw_reuse net.ipv4.ping_group_range net.ipv4.conf.all.rp_filter
        net.ipv4.conf.eth0/100.forwarding net.ipv4.neigh.eth0.gc_stale_time
        net.ipv4.route.min_pmtu net.ipv6.conf.all.disable_ipv6 net.ipv6.route.gc_thresh
        net.unix.max_dgram_qlen net.mptcp.enabled net.netfilter.nf_conntrack_tcp_timeout_established
        net.bridge.bridge-nf-call-iptables
    """,
    "ipc": """
        kernel.shmmax kernel.shmall kernel.shmmni kernel.shm_rmid_forced kernel.msgmax
        kernel.msgmnb kernel.msgmni kernel.sem kernel.auto_msgmni fs.mqueue.msg_max
        fs.mqueue.queues_max
    """,
    "uts": "kernel.hostname kernel.domainname",
    "user": "user.max_user_namespaces user.max_inotify_watches user.max_inotify_instances",
    "pid": "kernel.ns_last_pid vm.memfd_noexec",
    HOST: """
        vm.swappiness vm.max_map_count vm.overcommit_memory vm.drop_caches fs.file-max fs.nr_open
        fs.inotify.max_user_watches fs.inotify.max_user_instances fs.protected_hardlinks
        fs.aio-max-nr fs.suid_dumpable kernel.pid_max kernel.threads-max kernel.core_pattern
        kernel.randomize_va_space kernel.dmesg_restrict kernel.kptr_restrict kernel.modprobe
        kernel.unprivileged_bpf_disabled kernel.yama.ptrace_scope kernel.panic kernel.printk
        kernel.keys.maxkeys kernel.ostype dev.cdrom.autoclose abi.vsyscall32 debug.exception-trace
        sunrpc.tcp_slot_table_entries net.core.rmem_max net.core.wmem_default
        net.core.netdev_max_backlog net.core.default_qdisc net.core.bpf_jit_harden
        net.ipv4.neigh.default.gc_thresh3 net.ipv6.neigh.default.gc_thresh1 net.ipv4.tcp_mem
        net.ipv4.udp_mem net.ipv4.tcp_max_orphans net.ipv4.route.gc_thresh net.nf_conntrack_max
        net.netfilter.nf_conntrack_max net.netfilter.nf_conntrack_buckets
        net.ipv4.tcp_allowed_congestion_control kernel.shmmax2 user something.new net
    """,
}
CASES = [(key, namespace) for namespace, names in NAMESPACES.items() for key in names.split()]


@pytest.mark.parametrize(("key", "namespace"), CASES)
def test_namespace_of(key, namespace):
    assert namespace_of(key) == namespace


def test_the_table_is_sound():
    entries = [entry for _, _, group in TABLE for entry in group]
    assert len(entries) == len(set(entries))
    assert all(source for _, source, _ in TABLE)
    assert {namespace for namespace, _, _ in TABLE} == {"net", "ipc", "uts", "user", "pid", HOST}
    assert namespace_of(FIRST_NETWORK_KEY) == HOST
    for entry in entries:
        assert entry.rstrip("*")
        assert "*" not in entry[:-1]


def test_capabilities():
    assert capability_for("net.ipv4.ip_forward") == ("CAP_NET_ADMIN", 12)
    assert capability_for("net.ipv4.conf.eth0/100.forwarding") == ("CAP_NET_ADMIN", 12)
    assert capability_for("kernel.dmesg_restrict") == ("CAP_SYS_ADMIN", 21)
    assert capability_for("user.max_net_namespaces") == ("CAP_SYS_RESOURCE", 24)
    assert capability_for("net.ipv4.conf.eth0.rp_filter") is None
    assert capability_for("net.core.somaxconn") is None
    assert {number for *_, number in CAPABILITIES} == {12, 21, 24}


@pytest.mark.parametrize(
    ("written", "canonical", "path"),
    [
        ("net.core.somaxconn", "net.core.somaxconn", "net/core/somaxconn"),
        ("net/core/somaxconn", "net.core.somaxconn", "net/core/somaxconn"),
        ("kernel.ctrl-alt-del", "kernel.ctrl-alt-del", "kernel/ctrl-alt-del"),
        ("net/ipv4/conf/a.b.c/tag", "net.ipv4.conf.a/b/c.tag", "net/ipv4/conf/a.b.c/tag"),
        ("net.ipv4.conf.a/b/c.tag", "net.ipv4.conf.a/b/c.tag", "net/ipv4/conf/a.b.c/tag"),
        ("net.ipv4.conf.a.b.c.tag", "net.ipv4.conf.a/b/c.tag", "net/ipv4/conf/a.b.c/tag"),
        ("net.ipv6.neigh.v.1.mcast_solicit", "net.ipv6.neigh.v/1.mcast_solicit", None),
        ("net.mpls.conf.eth0.1.input", "net.mpls.conf.eth0/1.input", "net/mpls/conf/eth0.1/input"),
        ("net.ipv4.conf.br-1:2@x+y.tag", "net.ipv4.conf.br-1:2@x+y.tag", None),
    ],
)
def test_keys(written, canonical, path):
    assert keys.canonical_key(written) == canonical
    assert keys.canonical_key(canonical) == canonical
    if path:
        assert keys.path_of(canonical) == f"/proc/sys/{path}"


def test_a_dash_before_the_key():
    with pytest.raises(ValueError, match="ignore_missing"):
        keys.canonical_key("-net.core.somaxconn")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("4096\t131072\t6291456\n", "4096 131072 6291456"),
        ("  1  ", "1"),
        ("0x1000", "4096"),
        ("0XfF -0x10", "255 -16"),
        ("010", "8"),
        ("-010", "-8"),
        ("00", "0"),
        ("0", "0"),
        ("-1", "-1"),
        ("089", "089"),
        ("+1", "+1"),
        ("32768-60999", "32768-60999"),
        ("reno cubic", "reno cubic"),
        ("18446744073709551615", "18446744073709551615"),
        ("", ""),
    ],
)
def test_values(text, canonical):
    assert keys.canonical_value("net.core.somaxconn", text) == canonical
    assert keys.canonical_value("net.core.somaxconn", canonical) == canonical


def test_words_are_not_numbers():
    assert keys.canonical_value("kernel.hostname", "010") == "010"
    assert keys.canonical_value("kernel.core_pattern", "|/bin/x  0x10 %p\n") == "|/bin/x 0x10 %p"


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("1 2 3", 3), ("-1 0", 2), ("reno cubic", None), ("1 x", None), ("", None)],
)
def test_fields(text, count):
    assert keys.count_fields(text) == count


def test_parse():
    text = """# net.a.b = 1
; net.a.b = 2
net.a.b=3
 net/a/c =  4\t5
-net.a.d = 6
net.a.b = 0x7
-net.a.e
net.*.x = 8
nonsense = 9
net.a.f =
"""
    assert keys.parse(text) == {"net.a.b": "7", "net.a.c": "4 5", "net.a.d": "6", "net.a.f": ""}
    assert keys.parse("") == {}


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ("", {"a.b": "1"}, "a.b = 1\n"),
        ("", {"a.b": None}, ""),
        ("a.b = 1\n", {"a.b": None}, ""),
        ("a.b=1", {"a.b": "2"}, "a.b = 2\n"),
        ("x\na.b=1\ny\n", {"a.b": "2"}, "x\na.b = 2\ny\n"),
        ("a.b=1\nx\na/b=3\n", {"a.b": "2"}, "a.b = 2\nx\n"),
        ("a.b=1\nx\na/b=3\n", {"a.b": None}, "x\n"),
        ("x\n\n\n", {"a.b": "2"}, "x\n\n\na.b = 2\n"),
        ("x", {"a.b": "2", "a.a": "1"}, "x\na.b = 2\na.a = 1\n"),
        ("#a.b=1\n", {"a.b": None}, "#a.b=1\n"),
    ],
)
def test_rewrite(before, wanted, after):
    assert keys.rewrite(before, wanted) == after
    assert keys.rewrite(after, wanted) == after
    for key, value in wanted.items():
        assert keys.parse(after).get(key) == value
