"""Which module provides which kind.

Built-in kinds come from a literal table, so that a run imports only the kinds of its catalog; any
other kind is looked up in the entry-point group `converge.kinds` (value: the provider class).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from converge.provider import Provider

    AnyProvider = Provider[Any, Any]

BUILT_IN = {
    "archive": "converge_resources.archive:ArchiveProvider",
    "authorized_key": "converge_resources.authorized_key:AuthorizedKeyProvider",
    "block": "converge_resources.block:BlockProvider",
    "ca_certificate": "converge_resources.ca_certificate:CaCertificateProvider",
    "clock": "converge_resources.clock:ClockProvider",
    "command": "converge_resources.command:CommandProvider",
    "cron": "converge_resources.cron:CronProvider",
    "directory": "converge_resources.directory:DirectoryProvider",
    "download": "converge_resources.download:DownloadProvider",
    "file": "converge_resources.file:FileProvider",
    "group": "converge_resources.group:GroupProvider",
    "host": "converge_resources.host:HostProvider",
    "ini": "converge_resources.ini:IniProvider",
    "json": "converge_resources.json_key:JsonProvider",
    "limits": "converge_resources.limits:LimitsProvider",
    "line": "converge_resources.line:LineProvider",
    "mount": "converge_resources.mount:MountProvider",
    "package": "converge_resources.package:PackageProvider",
    "service": "converge_resources.service:ServiceProvider",
    "sudoers": "converge_resources.sudoers:SudoersProvider",
    "symlink": "converge_resources.symlink:SymlinkProvider",
    "sysctl": "converge_resources.sysctl:SysctlProvider",
    "tidy": "converge_resources.tidy:TidyProvider",
    "timezone": "converge_resources.timezone:TimezoneProvider",
    "user": "converge_resources.user:UserProvider",
    "yaml": "converge_resources.yaml_key:YamlProvider",
}

_loaded: dict[str, AnyProvider] = {}


def load(kind: str) -> AnyProvider:
    """Return the provider of a kind, imported once. KeyError: there is no such kind."""
    if kind not in _loaded:
        target = BUILT_IN.get(kind) or plug_ins().get(kind)
        if target is None:
            raise KeyError(kind)
        module, _, name = target.partition(":")
        found = __import__(module, fromlist=[name])  # importlib itself costs time
        provider: AnyProvider = getattr(found, name)()
        _loaded[kind] = provider
    return _loaded[kind]


def plug_ins() -> dict[str, str]:
    """Return the kinds that other distributions bring: name → `module:class`."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group="converge.kinds")}


def versions(used: Iterable[str]) -> dict[str, str]:
    """Return which distribution of which version brings each of these kinds that are not built in."""
    foreign = set(used) - BUILT_IN.keys()
    if not foreign:
        return {}
    from importlib.metadata import entry_points

    found = entry_points(group="converge.kinds")
    return {
        entry.name: f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        for entry in found
        if entry.name in foreign
    }


def names() -> list[str]:
    """Return every kind that can be used here, sorted."""
    return sorted({*BUILT_IN, *plug_ins()})
