"""The kind `line`: one line of a file, with the semantics of Ansible's `lineinfile`."""

from __future__ import annotations

from converge_resources.parts import patterns, places
from converge_resources.parts.edits import Edited, PartProvider, PartSpec, PartState
from converge_resources.parts.lines import Cut, Lines, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from typing import Annotated

    from converge.fields import Doc, Line


class LineSpec(PartSpec):
    """A line of a file: found by `regexp` or `search_string`, else by being equal to `content`."""

    content: Annotated[Line | None, Doc("The whole line.")] = None
    regexp: Annotated[
        str | None, Doc("Python's regular expression; the last line with a match is replaced.")
    ] = None
    search_string: Annotated[
        Line | None, Doc("A text, no pattern; the last line that holds it is replaced.")
    ] = None
    multiple: Annotated[bool, Doc("Replace every line that matches, not only the last.")] = False
    backrefs: Annotated[
        bool, Doc(r"Fill \1 or \g<name> in `content` from `regexp`; without a match, do nothing.")
    ] = False
    insertafter: Annotated[
        str | None, Doc("Where a new line goes: after the last match of this pattern, or EOF.")
    ] = None
    insertbefore: Annotated[
        str | None, Doc("Where a new line goes: before the last match of this pattern, or BOF.")
    ] = None
    firstmatch: Annotated[bool, Doc("Take the first match of a pattern, not the last.")] = False

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        yield from super().problems()
        if self.state == "present" and self.content is None:
            yield "content", "a line needs its `content`"
        if self.state == "absent" and not (self.regexp or self.search_string or self.content):
            yield "regexp", "which line? Give `regexp`, `search_string` or `content`"
        yield from self._excluding()
        yield from places.problems(self.insertafter, self.insertbefore)
        if self.regexp is not None:
            yield from self._pattern(self.regexp)

    def _pattern(self, regexp: str) -> Iterable[tuple[str, str]]:
        wrong = patterns.problem(regexp)
        if wrong:
            yield "regexp", wrong
        elif self.backrefs and self.content:
            wrong = patterns.problem(regexp, self.content)
            if wrong:
                yield "content", wrong

    def _excluding(self) -> Iterable[tuple[str, str]]:
        if self.regexp is not None and self.search_string is not None:
            yield "search_string", "`regexp` and `search_string` exclude each other"
        if self.search_string == "":
            yield "search_string", "an empty text is found in every line"
        if self.backrefs and self.regexp is None:
            yield "backrefs", "`backrefs` needs a `regexp` to fill them from"
        if self.multiple and self.firstmatch:
            yield "firstmatch", "`multiple` and `firstmatch` exclude each other"


class LineProvider(PartProvider[LineSpec]):
    """Reads and edits lines of files."""

    kind = "line"
    spec = LineSpec
    one_line = True
    restless = "set `multiple: true`, or let `regexp` match the new line too"

    def filled(self, spec: LineSpec) -> LineSpec:
        """Return the line with its secrets in it; in a template they are no part of that."""
        if spec.backrefs and spec.secrets:
            plain = {name: value.replace("\\", r"\\") for name, value in spec.secrets.items()}
            return super().filled(spec.replace(secrets=plain))
        return super().filled(spec)

    def part(self, spec: LineSpec) -> str:
        """A line is known by what it is found by."""
        return spec.regexp or spec.search_string or spec.content or ""

    def wanted(self, spec: LineSpec) -> PartState:
        """Return the line; with `backrefs` as it is declared."""
        return PartState(content=Lines(lines=[spec.content or ""]).data())

    def edit(self, spec: LineSpec, body: str) -> Edited:
        """Return the text with the line as declared. Raises PatternError."""
        with patterns.limit(body):
            return _edit(spec, body)


def _edit(spec: LineSpec, body: str) -> Edited:
    text = split(body)
    bare = [line.removesuffix("\r") for line in text.lines]  # where only some have a Windows break
    found = _found(spec, bare)
    if spec.state == "absent":
        left = text.changed([Cut(first=index, after=index + 1) for index in found])
        gone = [bare[index] for index in found]
        state = PartState(content=Lines(lines=gone).data()) if gone else None
        return Edited(body=left.text(), found=state)
    if found:
        return _replaced(spec, text, found)
    if spec.backrefs or spec.content in bare:
        return Edited(body=body)
    at = places.find(bare, spec.insertafter, spec.insertbefore, first=spec.firstmatch)
    return Edited(body=text.inserted(at, [spec.content or ""]).text())


def _found(spec: LineSpec, lines: list[str]) -> dict[int, re.Match[str] | None]:
    """Return the lines that are meant, by index, with the match if there is a pattern."""
    found: dict[int, re.Match[str] | None]
    if spec.regexp is not None:
        found = dict(patterns.search(spec.regexp, lines))
    elif spec.search_string is not None:
        found = {i: None for i, line in enumerate(lines) if spec.search_string in line}
    else:
        found = {i: None for i, line in enumerate(lines) if spec.content == line}
    if spec.state == "absent" or spec.multiple or not found:
        return found
    chosen = min(found) if spec.firstmatch else max(found)
    return {chosen: found[chosen]}


def _replaced(spec: LineSpec, text: Lines, found: dict[int, re.Match[str] | None]) -> Edited:
    lines, old = list(text.lines), []
    for index, match in found.items():
        content = spec.content or ""
        new = match.expand(content) if match is not None and spec.backrefs else content
        line = lines[index].removesuffix("\r")
        if line != new:
            old.append(line)
            lines[index] = new + lines[index][len(line) :]
    return Edited(
        body=text.replace(lines=lines).text(),
        found=PartState(content=Lines(lines=old).data()) if old else None,
    )
