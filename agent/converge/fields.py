"""The types of which specs are made. Imported only when a profile is validated (it needs pydantic).

Use them in a spec's annotations; import them there under TYPE_CHECKING (see provider.Spec).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from converge.files import modes
from converge.language.secret_references import MARK

_ACCOUNT = r"^[a-z_][a-z0-9_.-]{0,30}[a-z0-9_$-]?$"
_MOST_ID = 4294967294  # one more is -1 to chown(2), which means "no change"


def Doc(text: str) -> Any:  # noqa: N802  reads as a type in annotations
    """Describe an attribute, for `converge kinds` and the JSON schema."""
    return Field(description=text)


def Matching(pattern: str, what: str) -> Any:  # noqa: N802
    """Accept only strings that match the whole pattern; `what` names them in the message."""
    return AfterValidator(_matching(pattern, what))


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return check


def _absolute_path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is not an absolute path")
    parts = value.split("/")
    if ".." in parts or "\0" in value or "\n" in value:
        raise ValueError(f"{value!r}: `..`, NUL and line breaks are not allowed in a path")
    if len(value.encode(errors="surrogateescape")) > 4095 or any(
        len(p.encode()) > 255 for p in parts
    ):
        raise ValueError("the path is longer than the kernel takes (4095 bytes, 255 a name)")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def _mode(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(
            f"a bare number is read differently by different YAML versions; quote it: "
            f'"{modes.suggestion(value)}"'
        )
    if isinstance(value, str):
        return modes.canonical(value)
    return value


def _owner(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,10}|" + _ACCOUNT[1:-1], value):
        raise ValueError(f"{value!r} is neither an account name nor a numeric id")
    if isinstance(value, str) and value.isdigit() and int(value) > _MOST_ID:
        raise ValueError(f"{value} is more than the largest id, {_MOST_ID}")
    return value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _umask(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("a bare number is read differently by different YAML versions; quote it")
    if isinstance(value, str) and not re.fullmatch(r"0?[0-7]{1,3}", value):
        raise ValueError(f'{value!r} is no umask: up to three octal digits, such as "027"')
    return value


def _word(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _argv(value: Any) -> Any:
    if isinstance(value, str) and value:
        return value
    words = [_word(word) for word in value] if isinstance(value, list | tuple) else []
    if words and all(isinstance(word, str) for word in words):
        return words
    raise ValueError(f"a program is a list of words, or a string of them, not {value!r}")


def _secret_program(value: Any) -> list[str]:
    words = shlex.split(value) if isinstance(value, str) else _argv(value)
    if not words or ("/" in words[0] and not words[0].startswith("/")):
        raise ValueError("the program of a secret is an absolute path, or a name alone")
    return list(words)


_SECRET_SOURCES: dict[str, Any] = {
    "env": _matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable"),
    "file": _absolute_path,
    "command": _secret_program,
}


def _secret(value: Any) -> Any:
    """Return a text as it is, a reference under its mark. What is wrong is not repeated."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((source, where),) = value.items()
        if source == MARK:  # which was checked already
            return value
        if source in _SECRET_SOURCES and isinstance(where, str | list):
            return {MARK: {source: _SECRET_SOURCES[source](where)}}
    if isinstance(value, bool | int | float):  # which may be a password: it is not shown
        raise ValueError('a number, true and false are not texts; quote it: "…"')
    raise ValueError(
        "a secret is a text, or one of { env: NAME }, { file: /path } and { command: [program, …] }"
    )


def _several(item: Any, written: Any) -> Any:
    """A list of items, or one item alone; `written` is how the JSON schema describes an item."""
    return Annotated[
        Sequence[item],
        BeforeValidator(_one_or_more, json_schema_input_type=written | Sequence[written]),
    ]


Text = Annotated[str, Field()]
Line = Annotated[str, Matching(r"[^\n\r\0]*", "one line of text")]
AbsolutePath = Annotated[str, AfterValidator(_absolute_path)]
Mode = Annotated[str, BeforeValidator(_mode, json_schema_input_type=str)]
Owner = Annotated[str, BeforeValidator(_owner, json_schema_input_type=str | int)]
AccountName = Annotated[
    str,
    StringConstraints(max_length=32),
    Matching(_ACCOUNT, "an account name (a-z, 0-9, `_`, `-`, `.`; useradd(8))"),
]
AccountNames = _several(AccountName, str)
AccountId = Annotated[int, Field(ge=0, le=_MOST_ID)]
Seconds = Annotated[float, Field(gt=0)]
Reference = Annotated[
    str,
    Matching(
        r"[a-z][a-z0-9_-]*:(?s:.+)",
        "the id of a resource: write `kind:name`, as in `file:/etc/motd`",
    ),
]
References = _several(Reference, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*:.")])
Lines = _several(Line, str)
AbsolutePaths = _several(AbsolutePath, str)
_ANY_WORD = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
_WORDS = {"type": "array", "items": _ANY_WORD, "minItems": 1}
Argv = Annotated[  # as a string it is split where it is used
    Any,
    BeforeValidator(_argv),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, _WORDS]}),
]
_REFERENCE = {
    "type": "object",
    "properties": {
        "env": {"type": "string", "description": "A variable of the agent's environment."},
        "file": {"type": "string", "description": "A file that nobody else may change."},
        "command": {
            "anyOf": [{"type": "string"}, _WORDS],
            "description": "A program that prints it.",
        },
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
Secret = Annotated[  # a text, or a reference that a run fills in
    Any,
    BeforeValidator(_secret),
    WithJsonSchema({"anyOf": [{"type": "string"}, _REFERENCE]}),
]
SecretWord = Annotated[
    Any,
    BeforeValidator(lambda value: _secret(_word(value))),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}, _REFERENCE]}),
]
ExitCode = Annotated[int, Field(ge=0, le=255)]
ExitCodes = Annotated[
    Sequence[ExitCode],
    BeforeValidator(
        lambda value: [value] if isinstance(value, int) else value,
        json_schema_input_type=ExitCode | Sequence[ExitCode],
    ),
]
Phase = Literal["bake", "start", "run"]
Phases = Annotated[
    Sequence[Phase],
    BeforeValidator(_one_or_more, json_schema_input_type=Phase | Sequence[Phase]),
    Field(min_length=1),
]
Umask = Annotated[str, BeforeValidator(_umask, json_schema_input_type=str)]
Words = _several(Annotated[str, Matching(r"\S+", "one word")], str)
