"""Templates: strings of a profile that Jinja2 renders when the catalog is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError
from converge.language.merging import Merged
from converge.language.template_errors import TemplateError, explained

if TYPE_CHECKING:
    from jinja2.environment import Template

    from converge.language.sandbox import Sandbox

    Path = tuple[str | int, ...]

_MARKS = ("{{", "{%", "{#")


def is_template(value: Any) -> bool:
    """Tell whether a value is a string that must be rendered."""
    return isinstance(value, str) and any(mark in value for mark in _MARKS)


def literal(value: Any) -> Any:
    """Return a value whose texts mean themselves where a profile's texts are templates."""
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [literal(item) for item in value]
    if not is_template(value):
        return value
    import json

    if "endraw" in value or "\r" in value or value.startswith("\n"):
        quoted = json.dumps(value, ensure_ascii=True)
        return "{{ " + quoted.replace("{", "\\u007b").replace("}", "\\u007d") + " }}"
    return "{% raw %}" + value + "{% endraw %}"


class Templates:
    """Renders templates, each compiled once. Jinja2 is imported when the first one is met."""

    def __init__(self) -> None:
        self._sandbox: Sandbox | None = None
        self._texts: dict[str, tuple[Template, bool]] = {}
        self._conditions: dict[str, Template] = {}

    def value(self, value: Any, names: Mapping[str, Any], path: Path = ()) -> Any:
        """Return plain data with every string in it rendered, keys apart.

        A string that is one expression and nothing else, `{{ expression }}`, becomes what the
        expression gives, of whatever type. Raises TemplateError.
        """
        if isinstance(value, dict):
            return {key: self.value(item, names, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, names, (*path, i)) for i, item in enumerate(value)]
        if not is_template(value):
            return value
        return self._guarded(self._text, value, names, path)

    def condition(self, expression: str | bool, names: Mapping[str, Any]) -> bool:
        """Return whether a Jinja2 expression, written without braces, holds. Raises TemplateError."""
        if isinstance(expression, bool):
            return expression
        if not isinstance(expression, str):
            remedy = "join several with `and`" if isinstance(expression, list) else ""
            raise TemplateError("a condition is an expression or a boolean", (), remedy)
        if is_template(expression):
            bare = expression.strip().removeprefix("{{").removesuffix("}}").strip()
            remedy = "" if is_template(bare) else f"write `{bare}`"
            raise TemplateError("a condition is written without braces", (), remedy)
        holds = self._guarded(self._condition, expression, names, ())
        if isinstance(holds, str):  # "no" and "false" would hold
            remedy = f"compare it: `{expression} == '…'`"
            raise TemplateError(f"the condition gives the string {holds[:60]!r}", (), remedy)
        return bool(holds)

    def expression(self, source: str, names: Mapping[str, Any]) -> Any:
        """Return what an expression, written without braces, gives: plain data. Raises TemplateError."""
        return self._guarded(self._condition, source, names, ())

    def references(self, source: str) -> set[str]:
        """Return the names that a template, or a bare expression, reads: `port`, `facts.os.id`.

        Nothing of what cannot be parsed.
        """
        try:
            return self._environment().references(source, bare=not is_template(source))
        except Exception:  # noqa: BLE001  Jinja2 raises many; compiling tells of it
            return set()

    def _text(self, source: str, names: Mapping[str, Any]) -> Any:
        if source not in self._texts:
            self._texts[source] = self._environment().compile_text(source)
        template, single = self._texts[source]
        return _evaluate(template, names) if single else _render(template, names)

    def _condition(self, source: str, names: Mapping[str, Any]) -> Any:
        if source not in self._conditions:
            self._conditions[source] = self._environment().compile_condition(source)
        return _evaluate(self._conditions[source], names)

    def _environment(self) -> Sandbox:
        if self._sandbox is None:
            from converge.language.sandbox import Sandbox

            self._sandbox = Sandbox()
        return self._sandbox

    def _guarded(self, action: Any, source: str, names: Mapping[str, Any], path: Path) -> Any:
        """Call; whatever a template raises becomes a TemplateError at `path`."""
        try:
            return action(source, names)
        except TemplateError as error:  # of a var, met on the way
            raise TemplateError(error.message, path, error.remedy, error.line) from error
        except (RecursionError, MemoryError):
            raise TemplateError("the template is too deep or too large", path) from None
        except Exception as error:  # a template can raise anything
            raise explained(error, source, names, path) from error


class Variables(Mapping[str, Any]):
    """The names that templates see: vars, each rendered when it is first used, and base names.

    `raw` is plain data that may hold templates, or Merged; `base` is taken as it is (facts may be a
    lazy mapping) and comes second. `place_of` tells where a var is set. Raises TemplateError for
    a var that cannot be rendered.
    """

    def __init__(
        self,
        raw: Mapping[str, Any],
        base: Mapping[str, Any] | None = None,
        templates: Templates | None = None,
        place_of: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._raw = raw
        self._base = base or {}
        self._templates = templates or Templates()
        self._place_of = place_of
        self._rendered: dict[str, Any] = {}
        self._open: list[str] = []

    def __getitem__(self, name: str) -> Any:
        if name in self._rendered:
            return self._rendered[name]
        if name not in self._raw:
            return self._base[name]
        if name in self._open:
            loop = " → ".join([*self._open[self._open.index(name) :], name])
            raise TemplateError(f"the var `{name}` refers to itself: {loop}")
        self._open.append(name)
        try:
            self._rendered[name] = self._render(self._raw[name])
        except TemplateError as error:
            if "the var `" in error.message:
                raise
            place = self._place_of(name)
            message = f"in the var `{name}`{place and f' ({place})'}: {error.message}"
            raise TemplateError(message, error.path, error.remedy, error.line) from error
        finally:
            self._open.pop()
        return self._rendered[name]

    def used(self) -> set[str]:
        """Return the vars that were asked for until now, by themselves or by others."""
        return set(self._rendered)

    def _render(self, raw: Any) -> Any:
        if not isinstance(raw, Merged):
            return self._templates.value(raw, self)
        try:
            return raw.value(lambda value: self._templates.value(value, self))
        except TemplateError:
            raise
        except ConvergeError as error:
            raise TemplateError(str(error.args[0]), (), error.remedy) from error

    def __contains__(self, name: object) -> bool:
        return name in self._raw or name in self._base

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._raw), **dict.fromkeys(self._base)})

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _context(template: Template, names: Mapping[str, Any]) -> Any:
    """Return a context that looks names up one by one (Jinja2's usual one copies them all)."""
    from collections import ChainMap

    every: Any = ChainMap(names, template.globals)  # type: ignore[arg-type]
    return template.new_context(every, shared=True)


def _evaluate(template: Template, names: Mapping[str, Any]) -> Any:
    """Return what a single expression gives, as plain data."""
    from converge.language.plain import plain
    from converge.language.sandbox import RESULT

    context = _context(template, names)
    for _ in template.root_render_func(context):
        pass
    return plain(context.vars[RESULT])


def _render(template: Template, names: Mapping[str, Any]) -> str:
    from converge.language import bounds

    parts = []
    size = 0
    for part in template.root_render_func(_context(template, names)):
        parts.append(part)
        size += len(part)
        bounds.length("", size)
    return "".join(parts)
