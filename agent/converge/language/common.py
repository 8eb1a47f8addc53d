"""The attributes that every resource may have, whatever its kind. The engine alone reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from converge.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converge.fields import Doc, Phases, References, Words


class Common(Record):
    """What any resource may say besides the attributes of its kind."""

    require: Annotated[References, Doc("Resources (`kind:name`) that go before this one.")] = ()
    before: Annotated[References, Doc("Resources that go after this one.")] = ()
    notify: Annotated[
        References, Doc("Resources that go after this one, and are refreshed if it changed.")
    ] = ()
    subscribe: Annotated[
        References, Doc("Resources that go before this one, and refresh it if they changed.")
    ] = ()
    when: Annotated[
        str | bool,
        Doc("A Jinja2 expression without braces; where it is false, the resource is skipped."),
    ] = True
    for_each: Annotated[
        Sequence[Any] | Mapping[str, Any] | str,
        Doc(
            "One resource for each item of a list or mapping, or of what an expression gives. "
            "Templates see `item` and `index`, of a mapping also `key`."
        ),
    ] = ()
    phase: Annotated[
        Phases,
        Doc(
            "Runs that it is part of: `bake` (a Dockerfile's RUN converge bake), `start` (converge "
            "--once, and the agent's first run), `run` (its later runs). Default: as its kind says."
        ),
    ] = ()
    tags: Annotated[
        Words, Doc("Words; `--tags` runs only resources that have one of those it names.")
    ] = ()
    noop: Annotated[bool, Doc("Show what differs, change nothing, notify nobody.")] = False
    on_unmanageable: Annotated[
        Literal["fail", "warn", "skip"],
        Doc("What it means that this container does not allow it: exit 4, a warning, nothing."),
    ] = "fail"
