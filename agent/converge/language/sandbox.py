"""The Jinja2 environment of templates. Imported only when a template is met (it needs Jinja2).

A template reads the names it is given and nothing else: no files, no attribute that leads into
Python, no changes, no chance. What one step may make is bounded (converge.language.bounds); the time of
loops, and memory filled in many steps, are left to the limits of the worker.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from converge.language import bounds
from converge.language.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2.environment import Template
    from jinja2.runtime import Context

RESULT = "result"  # the name to which an expression's template assigns

_LOADS = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_PADDING = ("batch", "center", "indent", "slice", "tojson", "wordwrap")
_JOINED = " ~"  # a filter that no template can name


class RefusedError(TemplateSyntaxError):
    """A template that is well-formed, and does what templates here do not."""


class Undefined(StrictUndefined):
    """An undefined value; whatever is done with it says what is not defined."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        owner = self._undefined_obj
        if owner is _NO_OWNER:
            return f"`{self._undefined_name}` is not defined"
        if hasattr(type(owner), "missing"):  # of facts
            return str(owner.missing(self._undefined_name))
        if hasattr(owner, "keys"):
            known = ", ".join(str(key) for key in list(owner)[:20])
            return f"there is no `{self._undefined_name}` in it; it has {known or 'nothing'}"
        what = _TYPES.get(type(owner).__name__, type(owner).__name__)
        return f"a {what} has no `{self._undefined_name}`"


_TYPES = {"str": "text", "int": "number", "float": "number", "bool": "boolean"}
_NO_OWNER: Any = Undefined()._undefined_obj


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 without files, changes, chance, or single steps that fill the memory."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(undefined=Undefined, trim_blocks=True, keep_trailing_newline=True)
        for name in _PADDING:
            self.filters[name] = _bounded(self.filters[name], lambda _, *rest: bounds.widths(rest))
        self.filters["format"] = lambda text, *values, **named: self.call_binop(
            None, "%", str(text), named or values
        )
        self.filters["replace"] = _bounded(self.filters["replace"], bounds.replacement)
        del self.filters["random"], self.globals["lipsum"]  # a catalog is the same each time
        self.filters.update(_our_filters())

    def compile_text(self, source: str) -> tuple[Template, bool]:
        """Compile a template; return it and whether it is one expression and nothing else."""
        tree = self.parse(source)
        for load in tree.find_all(_LOADS):
            raise RefusedError("a template cannot include or import another", load.lineno)
        match tree.body:
            case [nodes.Output(nodes=[inner])] if not isinstance(inner, nodes.TemplateData):
                return self._assign(inner), True
        return self._made(tree), False

    def compile_condition(self, source: str) -> Template:
        """Compile a bare expression."""
        parser = Parser(self, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            after = parser.stream.current
            raise TemplateSyntaxError(f"not expected: {str(after)!r}", after.lineno)
        return self._assign(expression)

    def references(self, source: str, *, bare: bool) -> set[str]:
        """Return the names that come from outside, of `facts` with what is read of them."""
        if bare:
            body = [nodes.Output([Parser(self, source, state="variable").parse_expression()])]
            tree = nodes.Template(body, lineno=1)
            tree.set_environment(self)
        else:
            tree = self.parse(source)
        names = find_undeclared_variables(tree) - self.globals.keys()
        facts = {_dotted(node) for node in tree.find_all((nodes.Getattr, nodes.Getitem))}
        facts = {path for path in facts if path.startswith("facts.")}
        longest = {p for p in facts if not any(other.startswith(f"{p}.") for other in facts)}
        return names - {"facts"} | longest if longest else names

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Calculate, unless the result would be out of all proportion."""
        bounds.operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call, unless a string's method would make something out of all proportion."""
        original = getattr(function, "__wrapped__", function)
        owner = getattr(original, "__self__", None)
        if isinstance(owner, str):
            bounds.method(owner, original.__name__, [*args, *kwargs.values()])
        return super().call(context, function, *args, **kwargs)

    def _assign(self, expression: nodes.Expr) -> Template:
        target = nodes.Name(RESULT, "store")
        tree = nodes.Template([nodes.Assign(target, expression, lineno=1)], lineno=1)
        tree.set_environment(self)
        return self._made(tree)

    def _made(self, tree: nodes.Template) -> Template:
        return self.from_string(_Joiner().visit(tree))


def _dotted(node: nodes.Node) -> str:
    """Return `a.b.c` for what is written so, or with keys in brackets; empty for anything else."""
    if isinstance(node, nodes.Name):
        return node.name
    match node:
        case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str(name))):
            owner = _dotted(node.node)
            return f"{owner}.{name}" if owner else ""
        case nodes.Getitem():
            return _dotted(node.node)
    return ""


class _Joiner(NodeTransformer):
    """Turns `~`, which Jinja2 does not let us intercept, into a filter."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  Jinja2's naming
        self.generic_visit(node)
        items = nodes.List(node.nodes, lineno=node.lineno, environment=node.environment)
        joined = nodes.Filter(items, _JOINED, [], [], None, None, lineno=node.lineno)
        joined.environment = node.environment
        return joined


def _join(values: list[Any]) -> str:
    texts = [str(value) for value in values]
    bounds.length("", sum(map(len, texts)))
    return "".join(texts)


def _bounded(function: Any, check: Callable[..., None]) -> Any:
    """Return a filter that checks its arguments first (Jinja2 passes some an environment)."""

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        values = args[1:] if hasattr(function, "jinja_pass_arg") else args
        check(*values, *kwargs.values())
        return function(*args, **kwargs)

    return checked


def _our_filters() -> dict[str, Any]:
    import json
    import os
    import shlex

    def to_json(value: Any, indent: int | None = None) -> str:
        bounds.widths([indent])
        return json.dumps(plain(value), ensure_ascii=False, indent=indent)

    return {
        _JOINED: _join,
        "basename": lambda path: os.path.basename(_text(path)),
        "dirname": lambda path: os.path.dirname(_text(path)),
        "quote": lambda text: shlex.quote(_text(text)),
        "to_json": to_json,
    }


def _text(value: Any) -> str:
    return str(value)
