"""The text of a profile: plain data as YAML that our own loader reads as the same data."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from converge.language.template import literal
from converge.language.yamltext import refused
from converge.textdiff import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converge.declared import Declared

_PLAIN = re.compile(r"/?[A-Za-z_][A-Za-z0-9_./@+-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # here, or in YAML 1.1
_STEP = "    "


def profile(name: str, title: str, resources: Iterable[Declared]) -> str:
    """Return the text of a profile. What has a `reason` stands in it as a comment."""
    lines = [f"# {one}" for one in title.splitlines()]
    lines.append(f"profile: {_scalar(name)}")
    body = [line for one in resources for line in _resource(one)]
    declares = any(line.startswith("  - ") for line in body)
    lines.append("resources:" if declares else "resources: []")
    return "\n".join([*lines, *body, ""])


def _resource(one: Declared) -> Iterator[str]:
    if one.reason:
        yield from _comment("  ", f"{one.kind}:{one.name}: {one.reason}")
        return
    yield f"  - {one.kind}: {_scalar(literal(one.name))}"
    for key, value in one.attributes.items():
        yield from _entry(key, literal(value))
    for text in one.comments:
        yield from _comment(_STEP, text)


def _comment(indent: str, text: str) -> Iterator[str]:
    for line in text.splitlines() or [""]:
        yield f"{indent}# {escaped(line)}".rstrip()


def _entry(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value and _fits_block(value):
        ending = "" if value.endswith("\n") else "-"
        ending = "+" if value.endswith("\n\n") else ending
        yield f"{_STEP}{key}: |{ending}"
        for line in value.removesuffix("\n").split("\n"):
            yield f"{_STEP}  {line}" if line else ""
        return
    yield f"{_STEP}{key}: {_inline(value)}"


def _fits_block(text: str) -> bool:
    """Tell whether a text can stand as lines: it shows what it is, and its indentation is plain."""
    first = text.lstrip("\n")
    return (
        not refused(text) and "\r" not in text
        and first[:1] not in ("", " ", "\t") and not text.startswith("\n")
    )  # fmt: skip


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(k)}: {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(
        _code(letter) if refused(letter) or letter == "\x7f" else letter for letter in quoted
    )


def _code(letter: str) -> str:
    number = ord(letter)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
