"""What the kinds `json` and `yaml` have in common: a value at a path in a file of plain data."""

from __future__ import annotations

import json
from abc import abstractmethod

from converge_resources.parts import plain_data
from converge_resources.parts.edits import Edited, PartProvider, PartSpec, PartState
from converge_resources.parts.plain_data import MISSING
from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Annotated, Any

    from converge.fields import Doc


class DataSpec(PartSpec):
    """A value in a file."""

    key: Annotated[
        str | Sequence[str | int],
        Doc('Path of the value: "a.b", a JSON pointer "/a/b/0", or a list of keys; "": the top.'),
    ]
    value: Annotated[Any, Doc("The value: any plain data.")] = None
    allow_null: Annotated[bool, Doc("Without a `value`: null.")] = False
    exclusive: Annotated[
        bool, Doc("False: what else is in a mapping or list stays beside what is declared.")
    ] = True

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        yield from super().problems()
        if self.state == "present":
            if self.value is None and not self.allow_null:
                yield "value", "a `value` is needed, or `allow_null: true` for null"
            elif not self.exclusive and not isinstance(self.value, dict | list | tuple):
                yield "exclusive", "only a mapping or a list has anything else in it"
            return
        if not self.path_of_value() and self.exclusive:
            yield "key", "the top cannot be absent; use `file` with `state: absent`"
        if not self.exclusive and not isinstance(self.value, list | tuple):
            yield "value", "`exclusive: false` takes a list of the items that are to be absent"
        elif self.exclusive and self.value is not None:
            yield "value", "what is to be absent has no value; `exclusive: false` takes items away"

    def path_of_value(self) -> list[str | int]:
        """Return the keys that lead to the value."""
        return plain_data.parse_path(self.key)


if TYPE_CHECKING:
    from typing import TypeVar

    D = TypeVar("D", bound=DataSpec)
else:
    D = DataSpec


class DataProvider(PartProvider[D]):
    """Reads and edits values of files."""

    restless = "an item of a list is taken away by its value: `exclusive: false`, `value: […]`"

    @abstractmethod
    def load(self, body: str) -> Any:
        """MUST be overridden. Return the data of a text, MISSING if it holds none. Raises EditError."""

    @abstractmethod
    def rewrite(self, body: str, data: Any) -> str:
        """MUST be overridden. Return the text with other data, and no more changed than needed.

        Raises EditError.
        """

    def part(self, spec: D) -> str:
        """A value has one owner, unless it leaves what else is there alone."""
        where = plain_data.pointer(spec.path_of_value())
        return where if spec.exclusive else f"{where}\n{json.dumps(spec.value, sort_keys=True)}"

    def wanted(self, spec: D) -> PartState:
        """Return the value."""
        return PartState(value=_shown(spec.value))

    def edit(self, spec: D, body: str) -> Edited:
        """Return the text with the value as declared. Raises EditError."""
        try:
            return self._edit(spec, body)
        except RecursionError:
            raise EditError("it is nested too deep") from None

    def _edit(self, spec: D, body: str) -> Edited:
        data, path = self.load(body), spec.path_of_value()
        found = plain_data.get(data, path)
        state = None if found is MISSING else PartState(value=_shown(found))
        wanted = _changed(spec, data, found)
        if wanted is data or plain_data.same(wanted, data):
            return Edited(body=body, found=state)
        new = self._rewritten(body, wanted)
        if new is None:
            raise EditError(
                f"{plain_data.pointer(path)} cannot be edited without harm to the rest",
                "declare the whole file as a `file` resource",
            )
        return Edited(body=new, found=state)

    def _rewritten(self, body: str, data: Any) -> str | None:
        """Return a text with other data, None if it would read as something else."""
        try:
            new = self.rewrite(body, data)
            return new if plain_data.same(self.load(new), data) else None
        except EditError:
            return None


def _changed(spec: DataSpec, data: Any, found: Any) -> Any:
    path, value = spec.path_of_value(), spec.value
    if spec.state == "absent":
        if spec.exclusive:
            return plain_data.take(data, path)
        left = plain_data.without(found, value)
        return data if plain_data.same(left, found) else plain_data.put(data, path, left)
    if not spec.exclusive:
        value = plain_data.merge(found, value)
    return data if plain_data.same(found, value) else plain_data.put(data, path, value)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
