"""The network as this container sees it: interfaces, addresses, the way out. DNS is not asked."""

from __future__ import annotations

import sys
from typing import Any


def network() -> dict[str, Any]:
    """Return interfaces by name, the default route, and the addresses that others see of us."""
    interfaces = _interfaces()
    name = default_interface()
    own = interfaces.get(name or "", {})
    return {
        "interfaces": interfaces,
        "default_interface": name,
        "default_gateway": default_gateway(),
        "ipv4": next(iter(own.get("ipv4", ())), None),
        "ipv6": next((a for a in own.get("ipv6", ()) if not a.startswith("fe80:")), None),
    }


def _interfaces() -> dict[str, dict[str, list[str]]]:
    import socket

    import psutil

    families = {socket.AF_INET: "ipv4", socket.AF_INET6: "ipv6", psutil.AF_LINK: "mac"}
    interfaces: dict[str, dict[str, list[str]]] = {}
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        found: dict[str, list[str]] = {family: [] for family in families.values()}
        for address in addresses:
            if address.family in families:
                found[families[address.family]].append(address.address.partition("%")[0])
        interfaces[name] = found
    return interfaces


def default_interface(table: str = "/proc/net/route") -> str | None:
    """Return the interface of the IPv4 default route with the smallest metric; None: no route."""
    route = _default_route(table)
    return route[0] if route else None


def default_gateway(table: str = "/proc/net/route") -> str | None:
    """Return the IPv4 address of the gateway of that route; None: no route, or none is needed."""
    route = _default_route(table)
    if not route or int(route[2], 16) == 0:
        return None
    octets = int(route[2], 16).to_bytes(4, sys.byteorder)  # as it lies in memory: proc(5)
    return ".".join(map(str, octets))


def _default_route(table: str) -> list[str] | None:
    try:
        with open(table, encoding="ascii", errors="replace") as file:
            routes = [line.split() for line in file.read().splitlines()[1:]]
    except OSError:
        return None
    defaults = [r for r in routes if len(r) > 7 and r[1] == r[7] == "00000000"]
    return min(defaults, key=lambda route: int(route[6]), default=None)
