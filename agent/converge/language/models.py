"""Validation: a Spec class becomes a pydantic model, what is wrong becomes problems.

Imported only when a profile is validated, never when a cached catalog is run.
"""

from __future__ import annotations

import sys
import typing
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from converge import fields
from converge.language import model_errors
from converge.provider import Spec

if TYPE_CHECKING:
    from converge.record import Record

Place = tuple[str | int, ...]
R = TypeVar("R", bound="Record")


_models: dict[str, type[BaseModel]] = {}


def model_of(spec: type[Record]) -> type[BaseModel]:
    """Return the strict pydantic model of a Record class; annotations are read once."""
    key = f"{spec.__module__}.{spec.__qualname__}"
    if key not in _models:
        _models[key] = _make_model(spec)
    return _models[key]


def _make_model(spec: type[Record]) -> type[BaseModel]:
    names = {**vars(typing), **vars(fields), **vars(sys.modules[spec.__module__])}
    hints: dict[str, Any] = {}
    for parent in reversed(spec.__mro__):
        own = {**names, **vars(sys.modules[parent.__module__])}
        for name, text in parent.__dict__.get("__annotations__", {}).items():
            if name in spec.field_names:
                hints[name] = _evaluate(text, own)
    config = ConfigDict(extra="forbid", frozen=True, strict=True, title=spec.__name__)
    declared: dict[str, Any] = {
        name: (hints[name], getattr(spec, name, ...)) for name in spec.field_names
    }
    with warnings.catch_warnings():  # an attribute may be named as one of pydantic's old methods
        warnings.filterwarnings("ignore", "Field name .* shadows", UserWarning)
        return create_model(spec.__name__, __config__=config, __doc__=spec.__doc__, **declared)


def _evaluate(annotation: Any, names: dict[str, Any]) -> Any:
    """Evaluate an annotation of our own or a plug-in's source (never of a profile)."""
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, names)  # noqa: S307


def validate(spec: type[R], data: dict[str, Any]) -> tuple[R | None, list[tuple[Place, str]]]:
    """Return (spec, []) or (None, problems): each the place in the data and a message."""
    try:
        values = model_of(spec).model_validate(data).model_dump(mode="json")
    except ValidationError as error:
        return None, list(model_errors.problems(error, data))
    made = spec(**values)
    rules = made.problems() if isinstance(made, Spec) else ()
    problems: list[tuple[Place, str]] = [((name,), text) for name, text in rules]
    return (None, problems) if problems else (made, [])


def schema_of(spec: type[Record], ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """Return the JSON schema of a Spec, as it may be written in a profile.

    `ref_template` says where its nested definitions will stand.
    """
    return model_of(spec).model_json_schema(mode="validation", ref_template=ref_template)
