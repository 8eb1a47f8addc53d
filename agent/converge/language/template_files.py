"""Templates below the profile's folder: one attribute names the file, another takes what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converge.errors import ConvergeError

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from converge.language.profile import Read


def fill_in(
    model: type[Any],
    key: str,
    data: dict[str, Any],
    given: Container[str],
    read: Read,
    render: Callable[[str], Any],
) -> None:
    """Where the attribute `key` of a spec names a template, set in `data` what that gives.

    `given` are the attributes that the profile has. Raises ConvergeError.
    """
    names, text = getattr(model, "rendered", None) or ("", "")
    if key != names or not isinstance(data[key], str):  # of what is no text the model tells
        return
    if text in given:
        raise ConvergeError(f"`{key}` and `{text}` exclude each other")
    _, source = read(data[key])
    try:
        data[text] = str(render(source.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        remedy = "a template is a text in UTF-8; other files are a `source`"
        raise ConvergeError(f"{data[key]}: not UTF-8", remedy) from error
    except ConvergeError as error:
        raise ConvergeError(f"{data[key]}: {error.args[0]}", error.remedy) from error
