"""The kind `sudoers`: who may run what as whom, in a file of /etc/sudoers.d (sudoers(5))."""

from __future__ import annotations

from converge.errors import CannotManageError
from converge.provider import Spec
from converge_resources.paths.dropins import DropInProvider

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AccountName, AccountNames, Doc, Lines, Matching, Text
    from converge.system import ReadOnlySystem, System

_FOLDER = "/etc/sudoers.d"
_SPECIAL = ",:="  # ends a word in the command of a rule unless it is escaped


class SudoersSpec(Spec):
    """A rule of sudo, or a whole file of them."""

    name: Annotated[
        str,
        Matching(
            r"[A-Za-z0-9_@+-]{1,128}",
            "a name that sudo reads (no `.`, no `~`; letters, digits, `_-@+`)",
        ),
        Doc("Name of the file in /etc/sudoers.d."),
    ]
    state: Annotated[Literal["present", "absent"], Doc("Whether there is the file.")] = "present"
    user: Annotated[AccountNames, Doc("Users that may.")] = ()
    group: Annotated[AccountNames, Doc("Groups whose members may.")] = ()
    commands: Annotated[
        Lines, Doc("What they may run: absolute paths, with arguments, or ALL; `*` is a wildcard.")
    ] = ()
    runas: Annotated[
        AccountName | Literal["ALL"] | Sequence[AccountName | Literal["ALL"]],
        Doc("Users as whom they may run it, or ALL."),
    ] = "root"
    nopasswd: Annotated[bool, Doc("Without being asked for their password.")] = False
    setenv: Annotated[bool, Doc("They may keep their environment (`sudo -E`).")] = False
    host: Annotated[
        Annotated[str, Matching(r"[A-Za-z0-9._-]+", "a host's name")],
        Doc("Host on which it holds, as sudo knows it."),
    ] = "ALL"
    content: Annotated[Text | None, Doc("The whole file, in place of all these.")] = None

    def subject(self) -> str:
        """The file."""
        return f"{_FOLDER}/{self.name}"

    def problems(self) -> Iterable[tuple[str, str]]:
        """A rule has someone, and something that he may."""
        rule = self.user or self.group or self.commands
        if self.content is not None:
            if rule or self.nopasswd or self.setenv:
                yield "content", "`content` is the whole file: it goes with no other attribute"
            if "\0" in self.content:
                yield "content", "there is a NUL character in it"
        elif self.state == "present":
            if not self.user and not self.group:
                yield "user", "who? Give `user`, `group`, or the whole `content`"
            if not self.commands:
                yield "commands", "what may they run? Give `commands`; ALL is everything"
        for command in self.commands:
            yield from (("commands", text) for text in _command_problems(command))


class SudoersProvider(DropInProvider[SudoersSpec]):
    """Reads and writes files of /etc/sudoers.d, each checked by visudo(8)."""

    kind = "sudoers"
    spec = SudoersSpec
    mode = "0440"

    def content(self, spec: SudoersSpec) -> str:
        """Return the file that is declared."""
        if spec.content is not None:
            return spec.content if spec.content.endswith("\n") else f"{spec.content}\n"
        runas = [spec.runas] if isinstance(spec.runas, str) else spec.runas
        who = ", ".join([*spec.user, *(f"%{name}" for name in spec.group)])
        tags = ("NOPASSWD: " if spec.nopasswd else "") + ("SETENV: " if spec.setenv else "")
        what = ", ".join(map(_escaped, spec.commands))
        rule = f"{who} {spec.host} = ({', '.join(runas)}) {tags}{what}"
        return f"# Managed by converge.\n{rule}\n"

    def validator(self, spec: SudoersSpec, system: System) -> Callable[[str], None]:
        """Return the check by visudo: a file that is wrong would lock everyone out of sudo."""
        program = system.which("visudo")
        if program is None:
            raise CannotManageError(
                "there is no visudo here to check the file with",
                "install sudo, as a resource that goes before",
            )
        return lambda staged: _check(system, program, staged, spec.subject())

    def depends(self, spec: SudoersSpec) -> Iterable[str]:
        """A rule goes after its directories, its users and groups, and sudo."""
        yield from super().depends(spec)
        runas = [spec.runas] if isinstance(spec.runas, str) else spec.runas
        yield from (f"user:{name}" for name in {*spec.user, *runas} - {"ALL"})
        yield from (f"group:{name}" for name in spec.group)
        yield from ("package:sudo", "package:sudo-ldap")

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of the files in /etc/sudoers.d."""
        from converge_resources.adoption import dropins

        return dropins.sudoers(asked, system)


def _check(system: System, program: str, staged: str, path: str) -> None:
    done = system.run([program, "-c", "-f", staged])
    done.replace(out="", err=f"{done.err}{done.out}".replace(staged, path)).check()


def _command_problems(command: str) -> Iterator[str]:
    if command.startswith("!"):
        yield f"{command!r}: what is forbidden can be run under another name; list what may be run"
    elif command != "ALL" and not command.startswith(("/", "sudoedit /")):
        yield f"{command!r} is no absolute path, nor ALL"
    if "#" in command or '"' in command:
        yield f"{command!r}: `#` and quotes mean something else in sudoers; use `content`"
    if command.rstrip() != command or command.endswith("\\"):
        yield f"{command!r} ends in a space or a backslash"


def _escaped(command: str) -> str:
    """Return a command with what would end it escaped, unless it is already."""
    found, escaped = "", False
    for letter in command:
        found += f"\\{letter}" if letter in _SPECIAL and not escaped else letter
        escaped = letter == "\\" and not escaped
    return found
