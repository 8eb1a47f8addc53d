"""tmpfiles.d(5) as `directory`, `file`, `symlink` and `sysctl` resources.

What systemd-tmpfiles --create --boot would do, and what of it can be done again and again: nothing
is removed, and nothing is cleaned by its age.
"""

from __future__ import annotations

import re

from converge.record import Record
from converge.systemd import files, paths, words
from converge.systemd.specifiers import Specifiers
from converge.systemd.tmpfiles_actions import Actions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.read_only import ReadOnlySystem
    from converge.systemd.files import Line
    from converge.systemd.found import Found

_FIELDS = 6  # type, path, mode, user, group, age; the argument is the rest
_TYPES = "fFwdDevqQpLcbCxXrRzZtThHaA"
_MODIFIERS = "!-+=~^$?"
_UNSUPPORTED = {
    "p": "a named pipe", "c": "a device", "b": "a device", "t": "extended attributes",
    "T": "extended attributes", "h": "file attributes", "H": "file attributes", "a": "ACLs", "A": "ACLs",
}  # fmt: skip
_ONCE = "dDvqQefFLCzZ"  # what `!` may stand with: at the start alone


class Rule(Record):
    """A line, read. Empty fields are those that the line leaves out."""

    line: Line
    type: str
    modifiers: str
    path: str
    mode: str = ""
    user: str = ""
    group: str = ""
    age: str = ""
    argument: str = ""


def read(system: ReadOnlySystem, found: Found) -> None:
    """Add what the lines declare; what is not done of them is noted."""
    specifiers, actions = Specifiers(system), Actions(system, found)
    for line in files.lines("tmpfiles", system, found):
        try:
            rule = _rule(line, specifiers)
            _act(rule, actions, found)
        except (ValueError, OSError) as error:
            found.note(line, str(error))
    actions.finish()


def _rule(line: Line, specifiers: Specifiers) -> Rule:
    """Read a line. Raises ValueError."""
    fields, argument = words.split(line.text, _FIELDS)
    if len(fields) < 2 or not re.fullmatch(rf"[{_TYPES}][{re.escape(_MODIFIERS)}]*", fields[0]):
        raise ValueError(f"{line.text[:60]!r} is no line of tmpfiles.d(5)")
    action, path, *rest = fields
    mode, user, group, age = [*("" if one == "-" else one for one in rest), "", "", "", ""][:4]
    return Rule(
        line=line, type=action[0], modifiers=action[1:],
        path=paths.normal(specifiers.expand(path)), mode=mode,
        user=specifiers.expand(user), group=specifiers.expand(group), age=age,
        argument=_argument(action, "" if argument == "-" else argument, specifiers),
    )  # fmt: skip


def _argument(action: str, raw: str, specifiers: Specifiers) -> str:
    if "^" in action:
        raise ValueError("credentials (`^`) are systemd's alone; use a secret in a resource")
    if "~" in action[1:]:
        import base64

        try:
            return base64.b64decode(raw, validate=True).decode()
        except ValueError:
            raise ValueError("the argument is no text in Base64") from None
    return specifiers.expand(words.unescape(raw)) if action[0] in "fFwLC" else raw


def _act(rule: Rule, actions: Actions, found: Found) -> None:
    if rule.type in "xX":
        return  # what is not to be cleaned; nothing is
    if rule.type in _UNSUPPORTED:
        found.note(rule.line, f"{_UNSUPPORTED[rule.type]}: not supported (`{rule.type}`)")
        return
    if rule.type in "rR":
        remedy = "declare a `tidy`, or what is to be absent"
        found.note(rule.line, f"nothing is removed (`{rule.type}`)", remedy)
        return
    if "!" in rule.modifiers and (rule.type not in _ONCE or "+" in rule.modifiers):
        found.note(rule.line, "it is safe at boot alone (`!`), and an agent may start at any time")
        return
    if rule.age:
        remedy = f"declare `tidy: {rule.path}`"
        found.note(rule.line, f"what is older than {rule.age} is not removed", remedy)
    actions.act(rule)
