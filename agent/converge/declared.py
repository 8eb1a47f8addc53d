"""What is there, as a profile would declare it: what `converge adopt` asks a kind for."""

from __future__ import annotations

from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Asked(Record):
    """What is to be declared: these names, or all that can be listed where there are none.

    `changed`: only what somebody made or changed since the packages of the image were installed.
    `versions`: of packages the versions too.
    """

    names: tuple[str, ...] = ()
    changed: bool = False
    versions: bool = False


class Declared(Record):
    """One resource, as plain data for a profile.

    `comments` are lines to stand with it, such as what takes the place of a secret. `source`: the
    path of a live file of which a copy has to be the resource's `source`. `reason`: why it cannot be
    declared, empty if it can.
    """

    kind: str
    name: str
    attributes: dict[str, Any] = {}  # noqa: RUF012  frozen
    comments: tuple[str, ...] = ()
    source: str = ""
    reason: str = ""
