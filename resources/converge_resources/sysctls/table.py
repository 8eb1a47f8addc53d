"""Which namespace a sysctl belongs to, as data.

What belongs to a namespace of the container's own is safe to set there; everything else is the
host's, whatever container writes it. Keys that are not in the table are taken as the host's.
"""

from __future__ import annotations

HOST = "host"

# (namespace, where that is written, keys); a key that ends in `*` stands for all that begin so.
# The longest entry that fits a key counts.
TABLE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "net",
        (
            "network_namespaces(7). What a new network namespace shows and lets be written is its own: "
            "ensure_safe_net_sysctl() in net/sysctl_net.c (Linux 5.13) makes the rest read-only there"
        ),
        ("net.*",),
    ),
    (
        HOST,
        (
            "there in the first network namespace alone: registered for init_net; seen by comparing "
            "/proc/sys/net inside and outside a new namespace (Linux 6.18); admin-guide/sysctl/net.rst"
        ),
        (
            "net.core.bpf_jit_*",
            "net.core.busy_poll",
            "net.core.busy_read",
            "net.core.default_qdisc",
            "net.core.dev_weight*",
            "net.core.devconf_inherit_init_net",
            "net.core.fb_tunnels_only_for_init_net",
            "net.core.flow_limit_*",
            "net.core.gro_normal_batch",
            "net.core.high_order_alloc_disable",
            "net.core.max_skb_frags",
            "net.core.mem_pcpu_rsv",
            "net.core.message_*",
            "net.core.netdev_*",
            "net.core.rps_sock_flow_entries",
            "net.core.skb_defer_max",
            "net.core.warnings",
            "net.ipv4.cipso_*",
            "net.ipv4.fib_sync_mem",
            "net.ipv4.inet_peer_*",
            "net.ipv4.ipfrag_secret_interval",
            "net.ipv4.neigh.default.*",
            "net.ipv4.route.error_*",
            "net.ipv4.route.gc_*",
            "net.ipv4.route.max_size",
            "net.ipv4.route.redirect_*",
            "net.ipv4.tcp_available_ulp",
            "net.ipv4.tcp_low_latency",
            "net.ipv4.tcp_max_orphans",
            "net.ipv4.tcp_mem",
            "net.ipv4.udp_mem",
            "net.ipv6.calipso_*",
            "net.ipv6.mld_*",
            "net.ipv6.neigh.default.*",
            "net.netfilter.nf_log_all_netns",
            "net.nf_conntrack_max",
        ),
    ),
    (
        HOST,
        (
            "shown in every network namespace, read-only (0444) in all but the first: seen by comparing "
            "modes inside and outside a new namespace (Linux 6.18); one value for the whole host"
        ),
        (
            "net.core.rmem_default",
            "net.core.rmem_max",
            "net.core.wmem_default",
            "net.core.wmem_max",
            "net.ipv4.tcp_allowed_congestion_control",
            "net.netfilter.nf_conntrack_buckets",
            "net.netfilter.nf_conntrack_expect_max",
            "net.netfilter.nf_conntrack_max",
        ),
    ),
    (
        "ipc",
        (
            "ipc_namespaces(7); ipc/ipc_sysctl.c, ipc/mq_sysctl.c; written in a new namespace with the "
            "value outside unchanged"
        ),
        (
            "fs.mqueue.*",
            "kernel.auto_msgmni",
            "kernel.msg_next_id",
            "kernel.msgmax",
            "kernel.msgmnb",
            "kernel.msgmni",
            "kernel.sem",
            "kernel.sem_next_id",
            "kernel.shm_next_id",
            "kernel.shm_rmid_forced",
            "kernel.shmall",
            "kernel.shmmax",
            "kernel.shmmni",
        ),
    ),
    (
        "uts",
        "uts_namespaces(7); kernel/utsname_sysctl.c",
        ("kernel.domainname", "kernel.hostname"),
    ),
    (
        "user",
        "namespaces(7), “The /proc/sys/user directory” (Linux 4.9)",
        ("user.*",),
    ),
    (
        "pid",
        "pid_namespaces(7); admin-guide/sysctl/vm.rst on memfd_noexec (Linux 6.3)",
        ("kernel.ns_last_pid", "vm.memfd_noexec"),
    ),
    (
        HOST,
        # kernel.pid_max has been per pid namespace since Linux 6.14; it was the host's before
        (
            "admin-guide/sysctl/{kernel,vm,fs,abi,sunrpc,user}.rst; no namespace covers them. "
            "vm.swappiness, written in a privileged container, changed on the host"
        ),
        (
            "abi.*",
            "crypto.*",
            "debug.*",
            "dev.*",
            "fs.*",
            "kernel.*",
            "sunrpc.*",
            "vm.*",
        ),
    ),
)

# Keys that need more than write permission: (begins, ends, capability, its number in
# linux/capability.h). Seen with /proc/sys writable and the capability dropped: EPERM on write.
CAPABILITIES: tuple[tuple[str, str, str, int], ...] = (
    ("net.ipv4.ip_forward", "ip_forward", "CAP_NET_ADMIN", 12),
    ("net.ipv4.conf.", ".forwarding", "CAP_NET_ADMIN", 12),
    ("user.", "", "CAP_SYS_RESOURCE", 24),
    ("kernel.dmesg_restrict", "dmesg_restrict", "CAP_SYS_ADMIN", 21),
    ("kernel.kptr_restrict", "kptr_restrict", "CAP_SYS_ADMIN", 21),
)

# The inode numbers of the first namespaces (uapi linux/nsfs.h, enum init_ns_ino). That of the
# network namespace is fixed since Linux 6.18; before, FIRST_NETWORK_KEY tells.
FIRST_NAMESPACES = {
    "ipc": 0xEFFFFFFF,
    "net": 0xEFFFFFF9,
    "pid": 0xEFFFFFFC,
    "user": 0xEFFFFFFD,
    "uts": 0xEFFFFFFE,
}
FIRST_NETWORK_KEY = "net.core.netdev_max_backlog"

_NAMESPACES = {entry: namespace for namespace, _, entries in TABLE for entry in entries}


def namespace_of(key: str) -> str:
    """Return the namespace of a canonical key: net, ipc, uts, user, pid, or `host` for none."""
    fits = [entry for entry in _NAMESPACES if _fits(entry, key)]
    return _NAMESPACES[max(fits, key=len)] if fits else HOST


def _fits(entry: str, key: str) -> bool:
    return key.startswith(entry[:-1]) if entry[-1] == "*" else key == entry


def capability_for(key: str) -> tuple[str, int] | None:
    """Return the capability (name, number) that the kernel asks of a writer; None: none known."""
    for begins, ends, name, number in CAPABILITIES:
        if key.startswith(begins) and key.endswith(ends):
            return name, number
    return None
