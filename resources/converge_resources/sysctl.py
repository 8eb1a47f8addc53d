"""The kind `sysctl`: a kernel parameter, live in /proc/sys and persisted in a sysctl.d(5) file."""

from __future__ import annotations

import errno
import os
import stat

from converge.errors import BatchError, ConvergeError
from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge_resources.paths.trees import needs_before
from converge_resources.sysctls import keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from pydantic import AfterValidator, BeforeValidator

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Doc
    from converge.system import ReadOnlySystem, System


class SysctlSpec(Spec):
    """A kernel parameter."""

    name: Annotated[
        str,
        AfterValidator(keys.canonical_key),
        Doc("The key, with dots or slashes; a dot in an interface's name is a slash after dots."),
    ]
    state: Annotated[
        Literal["present", "absent"],
        Doc("absent: the persisted line goes; a live value cannot be unset."),
    ] = "present"
    value: Annotated[
        str | None,
        BeforeValidator(keys.checked_value, json_schema_input_type=str | int | None),
        Doc("The whole value; of several fields all, with spaces between."),
    ] = None
    live: Annotated[bool, Doc("Whether the running kernel's value is managed.")] = True
    persist: Annotated[
        bool | None,
        Doc("Whether the line in `file` is managed; null: where its directory can be written."),
    ] = None
    file: Annotated[AbsolutePath, Doc("The drop-in file that holds the line.")] = (
        "/etc/sysctl.d/60-converge.conf"
    )
    host_wide: Annotated[
        bool, Doc("Allow a key that is the host's, where the container can write it.")
    ] = False
    ignore_missing: Annotated[bool, Doc("A key that this kernel does not have is fine.")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """A value where one is needed, something to manage, and a file that is read."""
        if self.state == "present" and self.value is None:
            yield "value", "a sysctl needs a `value`"
        if self.state == "absent" and self.persist is False:
            yield "persist", "`absent` removes the persisted line; a live value cannot be unset"
        if self.state == "present" and self.persist is False and not self.live:
            yield "live", "neither `live` nor `persist`: nothing would be managed"
        if not self.file.endswith(".conf"):
            yield "file", "the name must end in `.conf`, or nothing reads it (sysctl.d(5))"


class SysctlState(State):
    """A parameter's live value, and the value of the last line for it in the file."""

    value: str | None = None
    persisted: str | None = None


class SysctlProvider(Provider[SysctlSpec, SysctlState]):
    """Reads and writes kernel parameters and their persisted lines."""

    kind = "sysctl"
    phases = ("start", "run")  # a value of the kernel's is not part of an image
    spec = SysctlSpec

    def desired(self, spec: SysctlSpec) -> SysctlState | None:
        """Return the values that are declared, as the kernel would show them."""
        if spec.state == "absent":
            return None
        wanted = _wanted(spec)
        return SysctlState(
            value=wanted if spec.live else None,
            persisted=None if spec.persist is False else wanted,
        )

    def inspect(
        self, specs: Sequence[SysctlSpec], system: ReadOnlySystem
    ) -> Mapping[str, SysctlState | Unmanageable]:
        """Read each key, and each file once."""
        files: dict[str, dict[str, str]] = {}

        def read(spec: SysctlSpec) -> SysctlState | Unmanageable | None:
            value = _live(spec, system) if spec.live and spec.state == "present" else None
            if isinstance(value, Unmanageable):
                return value
            persisted = None if spec.persist is False else _persisted(spec, system, files)
            if spec.state == "absent" and persisted is None:
                return None
            return SysctlState(value=value, persisted=persisted)

        return reading(specs, read)

    def obstacles(
        self, changes: Sequence[Change[SysctlSpec, SysctlState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say which keys, and which files, cannot be written here."""
        from converge_resources.sysctls import obstacles as sysctl_obstacles

        found = {}
        for change in changes:
            spec, obstacle = change.spec, None
            if change.wants("value"):
                obstacle = sysctl_obstacles.live_obstacle(
                    system, spec.name, _wanted(spec), host_wide=spec.host_wide
                )
            if obstacle is None and _touches_file(change):
                obstacle = sysctl_obstacles.file_obstacle(system, spec.file)
            if obstacle is not None:
                found[spec.name] = obstacle
        return found

    def apply(self, changes: Sequence[Change[SysctlSpec, SysctlState]], system: System) -> None:
        """Write each live value, then each file once, without the keys that the kernel refused."""
        from converge_resources.sysctls.write import write_file, write_live

        failed: dict[str, Exception] = {}
        try:
            each([c for c in changes if c.wants("value")], lambda c: write_live(c, system))
        except BatchError as error:
            failed.update(error.errors)
        files: dict[str, dict[str, str | None]] = {}
        for change in changes:
            if _touches_file(change) and change.spec.name not in failed:
                line = change.after.persisted if change.after else None
                files.setdefault(change.spec.file, {})[change.spec.name] = line
        for file, lines in files.items():
            try:
                write_file(file, lines, system)
            except (OSError, ConvergeError) as error:
                failed.update(dict.fromkeys(lines, error))
        if failed:
            raise BatchError(failed)

    def watches(self, spec: SysctlSpec) -> Iterable[str]:
        """The file can be watched; the kernel tells nobody of a value that changes."""
        if spec.persist is not False:
            yield spec.file

    def claims(self, spec: SysctlSpec) -> Iterable[str]:
        """A key has one owner, and so has its line."""
        yield f"sysctl:{spec.name}"
        if spec.persist is not False:
            yield f"part:{spec.file}\0sysctl {spec.name}"

    def depends(self, spec: SysctlSpec) -> Iterable[str]:
        """A line goes after its directories, an interface's key after those that reset it.

        net.ipv4.ip_forward resets all of net.ipv4.conf (networking/ip-sysctl.rst), and some keys
        of conf.all set those of every interface.
        """
        if spec.persist is not False:
            yield f"file:{spec.file}"
            yield from needs_before(spec.file, None, None)
        parts = spec.name.split(".")
        if parts[0] == "net" and len(parts) == 5 and parts[2] == "conf":
            if parts[1] == "ipv4":
                yield "sysctl:net.ipv4.ip_forward"
            if parts[3] != "all":
                yield f"sysctl:net.{parts[1]}.conf.all.{parts[4]}"

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of live values."""
        from converge_resources.adoption import sysctls

        return sysctls.declare(asked, system)


def _wanted(spec: SysctlSpec) -> str:
    return keys.canonical_value(spec.name, spec.value or "")


def _touches_file(change: Change[SysctlSpec, SysctlState]) -> bool:
    return change.after is None or change.wants("persisted")


def _live(spec: SysctlSpec, system: ReadOnlySystem) -> str | Unmanageable | None:
    """Return the live value; None: the kernel does not have the key, or has no value yet."""
    path = keys.path_of(spec.name)
    found = system.lstat(path)
    if found is None:
        return _wanted(spec) if spec.ignore_missing else None
    if stat.S_ISDIR(found.st_mode):
        return Unmanageable(reason="it is a directory of keys", remedy="name one of the keys in it")
    if not found.st_mode & 0o444:
        return Unmanageable(
            reason="it can only be written, so that it has no state (an action, not a value)"
        )
    try:
        return keys.canonical_value(spec.name, system.text(path, follow=False))
    except OSError as error:
        if error.errno == errno.EIO:  # net.ipv6.conf.*.stable_secret while it is not set
            return None
        raise


def _persisted(
    spec: SysctlSpec, system: ReadOnlySystem, files: dict[str, dict[str, str]]
) -> str | None:
    """Return the persisted value; where that is optional and not possible, what is declared."""
    optional = spec.persist is None and spec.live and spec.state == "present"
    try:
        if spec.file not in files:
            files[spec.file] = keys.parse(system.text(spec.file))
        found = files[spec.file].get(spec.name)
    except OSError:
        if not optional:
            raise
        found = None
    if optional and found != _wanted(spec) and not _can_persist(system, spec.file):
        return _wanted(spec)
    return found


def _can_persist(system: ReadOnlySystem, file: str) -> bool:
    from converge_resources.sysctls.obstacles import file_obstacle

    return system.lstat(os.path.dirname(file)) is not None and file_obstacle(system, file) is None
