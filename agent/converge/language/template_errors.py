"""What is wrong with a template, in words for whoever wrote it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from converge.errors import ConvergeError, close_match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any

    Path = tuple[str | int, ...]


_MIXED = re.compile(r"concatenate|unsupported operand|not supported between instances")
_FILTERS = {  # of Ansible → what does it here
    "bool": "true and false are so in a profile, and in CONVERGE_VAR_…",
    "dict2items": "`for_each` takes a mapping; else write `| items | list`",
    "ternary": "write `'a' if condition else 'b'`",
    **dict.fromkeys(("to_yaml", "to_nice_yaml", "to_nice_json"), "write `to_json`"),
}
_OF_ITEMS = "`for_each` over a mapping gives `key`, and its value as `item`"


class TemplateError(ConvergeError):
    """A template cannot be rendered. `path` is where in the data; `line` of the template, or 0."""

    def __init__(self, message: str, path: Path = (), remedy: str = "", line: int = 0) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.path = path
        self.line = line


def explained(error: Exception, source: str, names: Mapping[str, Any], path: Path) -> TemplateError:
    """Return, in words for whoever wrote the template `source`, what rendering it raised."""
    from jinja2 import TemplateSyntaxError

    message = getattr(error, "message", None) or str(error) or type(error).__name__
    line = getattr(error, "lineno", None) or _line(error.__traceback__)
    remedy = _remedy(message, names, source)
    unknown = re.fullmatch(r"No (filter|test) named '(\w+)'\.", message)
    if unknown:
        message = f"there is no {unknown[1]} `{unknown[2]}`"
        remedy = _FILTERS.get(unknown[2]) or close_match(unknown[2], _known(unknown[1]))
    elif isinstance(error, TypeError) and _MIXED.search(message):
        message += ": a text and a number do not go together"
        remedy = "`| int` makes a number of a text, `~` joins both as texts"
    elif type(error) is TemplateSyntaxError:
        what = "template" if "{" in source else "expression"
        message = f"the {what} cannot be read: {message.rstrip('.')}"
    if line and "\n" in source.strip():
        message += f", in line {line} of the template"
    return TemplateError(message, path, remedy, line)


def _known(what: str) -> Iterable[str]:
    """Return the names of all filters, or of all tests."""
    from converge.language.sandbox import Sandbox

    sandbox = Sandbox()
    return sandbox.filters if what == "filter" else sandbox.tests


def _remedy(message: str, names: Mapping[str, Any], source: str) -> str:
    if message.startswith(("there is no `key` in it", "there is no `value` in it")):
        return _OF_ITEMS if "item" in names else ""
    undefined = re.fullmatch(r"`(\w+)` is not defined", message)
    if not undefined:
        return ""
    name = undefined[1]
    if name in ("item", "index", "key"):
        return "only a resource that has `for_each` has it"
    if name == "secrets":
        return "they are named in `secrets` of this resource, if its kind has that"
    if name.startswith("ansible_"):
        return "what is known of the container is in `facts`: see `converge facts`"
    if name == "omit":
        return "write `none`, or the default that the attribute has"
    bare = "{{" not in source and "{%" not in source and source.strip() != name
    return close_match(name, names) or (f"a text is quoted: '{name}'" if bare else "")


def _line(traceback: TracebackType | None) -> int:
    """Return the innermost line of a template that a traceback goes through, or 0."""
    line = 0
    while traceback:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template:
            line = template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line
