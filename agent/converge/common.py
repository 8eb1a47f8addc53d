"""The attributes that every resource may have, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.fields import Doc


class Common(Record):
    """The common attributes of a resource."""

    require: Annotated[str | Sequence[str], Doc("Ids (`kind:name`) of what goes first.")] = ()
    before: Annotated[str | Sequence[str], Doc("Ids of what goes after this.")] = ()
    notify: Annotated[
        str | Sequence[str], Doc("Ids of what goes after this and is refreshed if this changed.")
    ] = ()
    subscribe: Annotated[
        str | Sequence[str], Doc("Ids of what goes first and refreshes this if it changed.")
    ] = ()
    when: Annotated[
        str | bool, Doc("A Jinja2 expression without braces; if it is false this is skipped.")
    ] = True
    tags: Annotated[Sequence[str], Doc("`--tags` runs only resources that have one of them.")] = ()
    noop: Annotated[bool, Doc("Show what differs, change nothing, notify nobody.")] = False
    on_unmanageable: Annotated[
        Literal["fail", "warn", "skip"],
        Doc("What it means that this container does not allow it: exit 4, a warning, nothing."),
    ] = "fail"
