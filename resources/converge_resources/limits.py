"""The kind `limits`: an entry of pam_limits (limits.conf(5)), in a file of /etc/security/limits.d."""

from __future__ import annotations

from converge.provider import Unmanageable
from converge_resources.parts.edits import Edited, PartProvider, PartSpec, PartState
from converge_resources.parts.lines import Cut, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, Doc, Matching, Mode
    from converge.provider import Change
    from converge.system import ReadOnlySystem

_ENDLESS = ("unlimited", "infinity", "-1")
# What setrlimit(2) calls an item, and how many of its units one in the file is.
_RESOURCES = {
    "as": ("RLIMIT_AS", 1024), "core": ("RLIMIT_CORE", 1024), "cpu": ("RLIMIT_CPU", 60),
    "data": ("RLIMIT_DATA", 1024), "fsize": ("RLIMIT_FSIZE", 1024),
    "memlock": ("RLIMIT_MEMLOCK", 1024), "msgqueue": ("RLIMIT_MSGQUEUE", 1),
    "nofile": ("RLIMIT_NOFILE", 1), "nproc": ("RLIMIT_NPROC", 1), "rss": ("RLIMIT_RSS", 1024),
    "rtprio": ("RLIMIT_RTPRIO", 1), "sigpending": ("RLIMIT_SIGPENDING", 1),
    "stack": ("RLIMIT_STACK", 1024),
}  # fmt: skip
_COUNTED = {*_RESOURCES, "locks", "maxlogins", "maxsyslogins", "nonewprivs"}
_SIGNED = {"nice", "priority"}
_CAP_SYS_NICE, _CAP_SYS_RESOURCE = 23, 24  # capabilities(7)


class LimitsSpec(PartSpec):
    """A limit of the sessions that go through pam_limits: login, su, sshd, cron."""

    path: Annotated[AbsolutePath, Doc("The file, in /etc/security/limits.d.")] = (
        "/etc/security/limits.d/60-converge.conf"
    )
    create: Annotated[bool, Doc("Make the file if it is missing.")] = True
    mode: Annotated[Mode | None, Doc("Mode of a file that is made; quoted.")] = "0644"
    domain: Annotated[
        str,
        Matching(r"[^\s#\0]+", "one word"),
        Doc("Whose: a user, @group, %group, `*`, or ids such as 1000:2000."),
    ]
    type: Annotated[Literal["soft", "hard", "-"], Doc("Which limit; `-`: both.")] = "-"
    item: Annotated[
        Literal[
            "as", "chroot", "core", "cpu", "data", "fsize", "locks", "maxlogins", "maxsyslogins",
            "memlock", "msgqueue", "nice", "nofile", "nonewprivs", "nproc", "priority", "rss",
            "rtprio", "sigpending", "stack",
        ],
        Doc("What is limited."),
    ]  # fmt: skip
    value: Annotated[
        int | Annotated[str, Matching(r"[^\s#\0]+", "one word")] | None,
        Doc("The limit, in the units of limits.conf(5), or `unlimited`."),
    ] = None

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what pam_limits would not read."""
        yield from super().problems()
        if not self.path.endswith(".conf"):
            yield "path", "the name must end in `.conf`, or nothing reads it (limits.conf(5))"
        if self.state == "present" and self.value is None:
            yield "value", "a limit needs a `value`"
        elif self.state == "present" and self.item != "chroot":
            wrong = _value_problem(self.item, str(self.value))
            if wrong:
                yield "value", wrong


class LimitsProvider(PartProvider[LimitsSpec]):
    """Reads and edits entries of limits."""

    kind = "limits"
    spec = LimitsSpec

    def part(self, spec: LimitsSpec) -> str:
        """A type of an item of a domain has one limit."""
        return f"{spec.domain} {spec.type} {spec.item}"

    def wanted(self, spec: LimitsSpec) -> PartState:
        """Return the limit that is declared."""
        return PartState(value=str(spec.value))

    def edit(self, spec: LimitsSpec, body: str) -> Edited:
        """Keep the last entry, which counts, at its place; others of the same go."""
        text = split(body)
        entries = [(index, _fields(line)) for index, line in enumerate(text.lines)]
        key = (spec.domain, spec.type, spec.item)
        same = [(index, words) for index, words in entries if tuple(words[:3]) == key]
        found = PartState(value=same[-1][1][3]) if same else None
        goes = [Cut(first=index, after=index + 1) for index, _ in same]
        if spec.state == "absent":
            return Edited(body=text.changed(goes).text(), found=found)
        line = f"{spec.domain} {spec.type} {spec.item} {spec.value}"
        if not same:
            end = len(text.lines)
            return Edited(body=text.inserted(end, [line]).text(), found=None)
        last, words = same[-1]
        if words[3] != str(spec.value):
            goes[-1] = Cut(first=last, after=last + 1, lines=(line,))
        else:
            goes.pop()
        return Edited(body=text.changed(goes).text(), found=found)

    def obstacles(
        self, changes: Sequence[Change[LimitsSpec, PartState]], system: ReadOnlySystem
    ) -> Mapping[str, Unmanageable]:
        """Say also which limits no session here could get."""
        found = dict(super().obstacles(changes, system))
        for change in changes:
            obstacle = _out_of_reach(change.spec, system) if change.after is not None else None
            if obstacle is not None:
                found.setdefault(change.spec.name, obstacle)
        return found

    def depends(self, spec: LimitsSpec) -> Iterable[str]:
        """An entry goes after its file and whom it is for."""
        yield from super().depends(spec)
        kind = "group" if spec.domain.startswith(("@", "%")) else "user"
        yield f"{kind}:{spec.domain.lstrip('@%')}"

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of the limits in all files."""
        from converge_resources.adoption import parts

        return parts.limits(asked, system)


def _fields(line: str) -> list[str]:
    """Return the four words of an entry, as pam_limits reads it; of anything else nothing."""
    domain, *more = line.partition("#")[0].split()[:4] or [""]
    return [domain, more[0].lower(), more[1].lower(), more[2]] if len(more) == 3 else []


def _value_problem(item: str, value: str) -> str:
    digits = value.removeprefix("-") if item in _SIGNED else value
    if digits.isdigit() and digits.isascii():
        inside = item not in _SIGNED or -20 <= int(value) <= 19
        return "" if inside else f"{item} is from -20 to 19"
    if value in _ENDLESS and item in _COUNTED:
        return ""
    also = "" if item in _SIGNED else ", nor `unlimited`"
    return f"{value!r} is no number{also}"


def _out_of_reach(spec: LimitsSpec, system: ReadOnlySystem) -> Unmanageable | None:
    """Say that a session here cannot get a limit, or would be refused for it; None: it can."""
    value = str(spec.value)
    if spec.item == "priority" and value.startswith("-") and not system.capable(_CAP_SYS_NICE):
        return Unmanageable(
            reason="without CAP_SYS_NICE every session with this priority is refused",
            remedy="run with --cap-add SYS_NICE, or choose one from 0 to 19",
        )
    if spec.item not in _RESOURCES or system.capable(_CAP_SYS_RESOURCE):
        return None
    import resource

    name, unit = _RESOURCES[spec.item]
    _, most = resource.getrlimit(getattr(resource, name))
    if most == resource.RLIM_INFINITY:
        return None
    if value not in _ENDLESS and int(value) * unit <= most:
        return None
    return Unmanageable(
        reason=f"the container's own limit is {most // unit}, and nothing here may raise it",
        remedy=f"start the container with --ulimit {spec.item}=…, or with --cap-add SYS_RESOURCE",
    )
