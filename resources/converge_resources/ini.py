"""The kind `ini`: a key in a file of sections, keys and values, or of keys and values alone."""

from __future__ import annotations

from converge_resources.parts import ini_text
from converge_resources.parts.edits import Edited, PartProvider, PartSpec, PartState
from converge_resources.parts.lines import Cut, Lines
from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Annotated

    from converge.fields import Doc, Line
    from converge_resources.parts.ini_text import Entry, Section

_MOST = 4 << 20  # characters
_ALONE = "(no value)"


class IniSpec(PartSpec):
    """A key of a section; without a `section`, one before all sections, or of a file without any."""

    section: Annotated[Line | None, Doc("Name of the section, without brackets.")] = None
    key: Annotated[
        Line | None, Doc("The key, as it is spelled in the file. Unset: the section itself.")
    ] = None
    value: Annotated[
        Line | int | float | bool | Sequence[Line | int | float | bool] | None,
        Doc("The value as it stands in the file; a list: one line with the key for each."),
    ] = None
    exclusive: Annotated[
        bool, Doc("False: other lines with the same key stay beside those declared.")
    ] = True
    allow_no_value: Annotated[bool, Doc("Without a `value`: a line with the key alone.")] = False
    separator: Annotated[
        Line, Doc('What parts key and value on a new line: " = ", "=", ": ", " ".')
    ] = " = "

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        yield from super().problems()
        if not self.separator:
            yield "separator", "something must part key and value; a space does"
        if self.section is not None and (not self.section or self.section != self.section.strip()):
            yield "section", "a section needs a name, without white space around it"
        yield from self._about_key()
        for value in self.values():
            if value is not None and value != value.strip():
                yield "value", f"{value!r}: white space around a value cannot be told apart"

    def _about_key(self) -> Iterable[tuple[str, str]]:
        if self.key is None:
            if self.section is None:
                yield "key", "which key? (Without a `key`, a `section` itself is managed)"
            if self.value is not None:
                yield "value", "a value needs its `key`"
            return
        sign = self.sign()
        if self.key != self.key.strip() or not self.key:
            yield "key", "a key is not empty and has no white space around it"
        elif self.key[0] in "#;[" or (
            self.key.find(sign) >= 0 if sign else len(self.key.split()) > 1
        ):
            yield "key", f"{self.key!r} would not be read as a key with this `separator`"
        if self.state == "present" and self.value is None and not self.allow_no_value:
            yield "value", "a key needs its `value`, or `allow_no_value: true` for the key alone"

    def sign(self) -> str:
        """Return what parts key and value, without white space; empty: white space does."""
        return self.separator.strip()

    def values(self) -> list[str | None]:
        """Return the values as they stand in the file; None: the key alone."""
        if self.value is None:
            return [None] if self.key is not None and self.allow_no_value else []
        value = self.value
        return [_written(one) for one in (value if isinstance(value, list | tuple) else [value])]


class IniProvider(PartProvider[IniSpec]):
    """Reads and edits keys of files."""

    kind = "ini"
    spec = IniSpec
    one_line = True
    restless = "the value would be read as something else; see how the program quotes it"

    def part(self, spec: IniSpec) -> str:
        """A key of a section has one owner, unless it leaves the other values alone."""
        parts = [spec.section or "", spec.key or ""]
        if spec.exclusive:
            return "\n".join(parts)
        return "\n".join([*parts, *map(str, spec.values())])

    def desired(self, spec: IniSpec) -> PartState | None:
        """Return the values; an empty list of them is absent."""
        nothing = spec.key is not None and not spec.values()
        return None if nothing else super().desired(spec)

    def wanted(self, spec: IniSpec) -> PartState:
        """Return the values, a line each."""
        return PartState(value=_shown(spec.values()))

    def edit(self, spec: IniSpec, body: str) -> Edited:
        """Return the text with the key as declared. Raises EditError."""
        if len(body) > _MOST:
            raise EditError(
                f"the file is larger than {_MOST >> 20} MiB, too large to be read as keys"
            )
        text, sections = ini_text.parse(body, spec.sign())
        named = [one for one in sections if one.name == spec.section]
        if spec.key is None:
            return _section(spec, text, named)
        entries = [e for section in named for e in section.entries if e.key == spec.key]
        state = PartState(value=_shown([e.value for e in entries])) if entries else None
        return Edited(body=text.changed(_cuts(spec, text, named, entries)).text(), found=state)


def _section(spec: IniSpec, text: Lines, named: list[Section]) -> Edited:
    """Return the text with the section itself as declared."""
    if spec.state == "absent":
        cuts = [Cut(first=one.header, after=one.after) for one in named]
    else:
        cuts = [] if named else [_new_section(spec, text, [])]
    return Edited(body=text.changed(cuts).text(), found=PartState(value="") if named else None)


def _cuts(spec: IniSpec, text: Lines, named: list[Section], entries: list[Entry]) -> list[Cut]:
    """Return what has to be changed for the key to be as declared."""
    wanted = spec.values()
    if spec.state == "absent":
        return [
            Cut(first=e.first, after=e.after) for e in entries if not wanted or e.value in wanted
        ]
    if spec.exclusive:
        cuts = [
            Cut(first=e.first, after=e.after, lines=(_line(spec, value, e),))
            for e, value in zip(entries, wanted, strict=False)
            if e.value != value
        ]
        cuts += [Cut(first=e.first, after=e.after) for e in entries[len(wanted) :]]
        more = wanted[len(entries) :]
    else:
        cuts, more = [], [v for v in wanted if v not in [e.value for e in entries]]
    return [*cuts, _new(spec, text, named, entries, more)] if more else cuts


def _new(
    spec: IniSpec,
    text: Lines,
    named: list[Section],
    entries: list[Entry],
    values: list[str | None],
) -> Cut:
    """Return the addition of lines: after those with the key, else after the comment that shows it."""
    if not named:
        return _new_section(spec, text, values)
    section = named[0]
    shown = [
        index + 1
        for one in named
        for index in range(one.header + 1, one.after)
        if ini_text.is_disabled(text.lines[index], spec.key or "", spec.sign())
    ]
    at = entries[-1].after if entries else shown[-1] if shown else section.end(len(text.lines))
    like = entries[-1] if entries else section.entries[-1] if section.entries else None
    indent = "" if like is None else like.head[: len(like.head) - len(like.head.lstrip())]
    return Cut(first=at, after=at, lines=tuple(indent + _line(spec, value) for value in values))


def _new_section(spec: IniSpec, text: Lines, values: list[str | None]) -> Cut:
    blank = [""] if text.lines and text.lines[-1].strip() else []
    lines = [*blank, f"[{spec.section}]", *(_line(spec, value) for value in values)]
    return Cut(first=len(text.lines), after=len(text.lines), lines=tuple(lines))


def _line(spec: IniSpec, value: str | None, old: Entry | None = None) -> str:
    """Return a line with the key, with what stood before the old value if that can be kept."""
    indent = "" if old is None else old.head[: len(old.head) - len(old.head.lstrip())]
    if value is None:
        return indent + (spec.key or "")
    kept = old is not None and old.value and not old.value.startswith("\n")
    head = old.head if old and kept else f"{indent}{spec.key}{spec.separator}"
    return f"{head}{value}".rstrip()


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(values: Sequence[str | None]) -> str:
    return "\n".join(_ALONE if value is None else value for value in values)
