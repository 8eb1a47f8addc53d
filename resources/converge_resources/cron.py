"""The kind `cron`: a job, in a file of its own in /etc/cron.d (crontab(5), cron(8))."""

from __future__ import annotations

from converge.provider import Spec
from converge_resources import cron_schedule
from converge_resources.paths import trees
from converge_resources.paths.dropins import DropInProvider

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Annotated, Literal

    from converge.declared import Asked, Declared
    from converge.fields import AbsolutePath, AccountName, Doc, Line, Matching
    from converge.system import ReadOnlySystem

_MOST = 998  # characters of a command that cron(8) takes (MAX_COMMAND)


class CronSpec(Spec):
    """A job of cron."""

    name: Annotated[
        str,
        Matching(r"[A-Za-z0-9_-]{1,128}", "a name that cron reads (letters, digits, `_`, `-`)"),
        Doc("Name of the job, and of its file."),
    ]
    state: Annotated[Literal["present", "absent"], Doc("Whether there is the job.")] = "present"
    command: Annotated[
        Line | Sequence[Line] | None,
        Doc("What cron's shell runs, `%` and all; a list of words is quoted for it."),
    ] = None
    schedule: Annotated[
        Line | None, Doc("Five fields (`*/5 * * * *`), or @hourly, @daily, @reboot and the like.")
    ] = None
    minute: Annotated[Line | int, Doc("Minutes (0-59), in place of `schedule`.")] = "*"
    hour: Annotated[Line | int, Doc("Hours (0-23).")] = "*"
    day: Annotated[Line | int, Doc("Days of the month (1-31).")] = "*"
    month: Annotated[Line | int, Doc("Months (1-12, jan-dec).")] = "*"
    weekday: Annotated[Line | int, Doc("Days of the week (0-7, sun-sat; 0 and 7 are Sunday).")] = (
        "*"
    )
    user: Annotated[AccountName, Doc("User that it runs as.")] = "root"
    environment: Annotated[
        Mapping[str, Line], Doc("Variables for it, such as PATH, SHELL and MAILTO.")
    ] = {}
    file: Annotated[
        AbsolutePath | None, Doc("Its file, if not /etc/cron.d/NAME; nothing else is in there.")
    ] = None

    def subject(self) -> str:
        """The job's file."""
        return self.file or f"/etc/cron.d/{self.name}"

    def fields(self) -> dict[str, str]:
        """Return the five fields, by their names."""
        return {name: str(getattr(self, name)) for name in cron_schedule.FIELDS}

    def problems(self) -> Iterable[tuple[str, str]]:
        """A job has a command and one schedule, as crontab(5) wants them."""
        fields = self.fields()
        declared = [name for name, text in fields.items() if text != "*"]
        if self.state == "present" and not self.command:
            yield "command", "a job needs a `command`"
        if self.schedule is not None:
            yield from (("schedule", text) for text in cron_schedule.problems(self.schedule))
            yield from ((name, "`schedule` says it already") for name in declared)
        elif self.state == "present" and not declared:
            yield "schedule", 'when? Give a `schedule`; "* * * * *" is every minute'
        for name in declared:
            wrong = cron_schedule.field_problem(name, fields[name])
            if wrong:
                yield name, wrong
        if len(_command(self.command or "")) > _MOST:
            yield "command", f"cron takes {_MOST} characters; put it into a file"
        yield from self._environment_problems()

    def _environment_problems(self) -> Iterable[tuple[str, str]]:
        for name, value in self.environment.items():
            if not name.isidentifier() or not name.isascii():
                yield "environment", f"{name!r} is no name of a variable"
            if "'" in value and '"' in value:
                yield "environment", f"{name}: cron takes no value with both kinds of quotes"
            elif value != value.rstrip() or (value[1:] and value[0] == value[-1] in ("'", '"')):
                lost = "quotes around a value and spaces at its end"
                yield "environment", f"{name}: cron takes away {lost}"


class CronProvider(DropInProvider[CronSpec]):
    """Reads and writes files of /etc/cron.d."""

    kind = "cron"
    spec = CronSpec

    def content(self, spec: CronSpec) -> str:
        """Return the variables and the one line of the job."""
        when = spec.schedule or " ".join(spec.fields().values())
        lines = [f"{name}={_quoted(value)}" for name, value in spec.environment.items()]
        lines.append(f"{' '.join(when.split())} {spec.user} {_command(spec.command or '')}")
        return "\n".join(["# Managed by converge.", *lines, ""])

    def depends(self, spec: CronSpec) -> Iterable[str]:
        """A job goes after its directories, its user, and what runs it."""
        yield from trees.needs_before(self.path(spec), spec.user, None)
        yield from ("package:cron", "package:cronie")

    def declare(self, asked: Asked, system: ReadOnlySystem) -> Iterable[Declared]:
        """Tell of the jobs in /etc/cron.d."""
        from converge_resources.adoption import dropins

        return dropins.cron(asked, system)


def _command(declared: str | Sequence[str]) -> str:
    """Return a command for a crontab, where a backslash escapes `%`, a line break, and itself."""
    if isinstance(declared, str):
        line = declared.replace("\\%", "%")  # escaped already, as in a crontab
    else:
        import shlex

        line = shlex.join(declared)
    pairs = zip(line, f"{line[1:]} ", strict=False)
    return "".join(f"\\{one}" if _is_escaped(one, following) else one for one, following in pairs)


def _is_escaped(letter: str, following: str) -> bool:
    return letter == "%" or (letter == "\\" and following in ("\\", "%"))


def declared_command(line: str) -> str:
    """Return the `command` that is written as this line."""
    found, escaped = "", False
    for letter in line:
        if escaped and letter not in ("\\", "%"):
            found += "\\"
        escaped = letter == "\\" and not escaped
        found += "" if escaped else letter
    return (found + "\\" * escaped).replace("\\%", "\\\\%")


def _quoted(value: str) -> str:
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"
