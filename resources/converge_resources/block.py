"""The kind `block`: lines between two marker lines, with the semantics of Ansible's `blockinfile`."""

from __future__ import annotations

from converge_resources.parts import patterns, places
from converge_resources.parts.edits import Edited, PartProvider, PartSpec, PartState
from converge_resources.parts.lines import Cut, Lines, split
from converge_resources.parts.texts import EditError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Annotated

    from converge.fields import Doc, Line, Text

_MARK = "{mark}"


class BlockSpec(PartSpec):
    """Lines of a file, between a marker line before them and one after them."""

    content: Annotated[
        Text | None, Doc("The lines between the markers. Without any the block is absent.")
    ] = None
    marker: Annotated[
        Line | None,
        Doc("The marker lines; `{mark}` is BEGIN or END. Unset: `# {mark} converge: TITLE`."),
    ] = None
    marker_begin: Annotated[Line, Doc("What `{mark}` is in the line before.")] = "BEGIN"
    marker_end: Annotated[Line, Doc("What `{mark}` is in the line after.")] = "END"
    insertafter: Annotated[
        str | None, Doc("Where a new block goes: after the last match of this pattern, or EOF.")
    ] = None
    insertbefore: Annotated[
        str | None, Doc("Where a new block goes: before the last match of this pattern, or BOF.")
    ] = None

    def problems(self) -> Iterable[tuple[str, str]]:
        """Say what does not go together."""
        yield from super().problems()
        yield from places.problems(self.insertafter, self.insertbefore)
        if self.state == "present" and self.content is None:
            yield "content", "a block needs its `content`"
        if self.marker is not None and _MARK not in self.marker:
            yield "marker", f"a marker needs `{_MARK}`, or both lines would be the same"
        if self.marker_begin == self.marker_end:
            yield "marker_end", "`marker_begin` and `marker_end` must differ"
        elif {*self.markers()} & {*self.lines()}:
            yield "content", "a line of the content is one of the markers"

    def markers(self) -> tuple[str, str]:
        """Return the line before and the line after."""
        marker = f"# {_MARK} converge: {self.name}" if self.marker is None else self.marker
        return marker.replace(_MARK, self.marker_begin), marker.replace(_MARK, self.marker_end)

    def lines(self) -> list[str]:
        """Return the lines of the content."""
        return split(self.content or "").lines


class BlockProvider(PartProvider[BlockSpec]):
    """Reads and edits blocks of files."""

    kind = "block"
    spec = BlockSpec

    def part(self, spec: BlockSpec) -> str:
        """A block is known by its markers."""
        return "\n".join(spec.markers())

    def desired(self, spec: BlockSpec) -> PartState | None:
        """Return the block; one without lines is absent."""
        return super().desired(spec) if spec.lines() else None

    def wanted(self, spec: BlockSpec) -> PartState:
        """Return the lines between the markers."""
        return PartState(content=Lines(lines=spec.lines()).data())

    def edit(self, spec: BlockSpec, body: str) -> Edited:
        """Return the text with the block as declared. Raises EditError."""
        text = split(body)
        bare = [line.removesuffix("\r") for line in text.lines]  # as those of the kind `line`
        begin, end = spec.markers()
        blocks = _blocks(bare, begin, end)
        found = [line for first, last in blocks for line in bare[first + 1 : last]]
        state = PartState(content=Lines(lines=found).data()) if blocks else None
        lines = [] if self.desired(spec) is None else [begin, *spec.lines(), end]
        if blocks:
            first, last = blocks[0]
            if bare[first : last + 1] == lines:
                lines = text.lines[first : last + 1]
            return Edited(body=_replaced(text, blocks, lines).text(), found=state)
        if not lines:
            return Edited(body=body)
        with patterns.limit(body):
            at = places.find(bare, spec.insertafter, spec.insertbefore)
        return Edited(body=text.inserted(at, lines).text())


def _blocks(lines: list[str], begin: str, end: str) -> list[tuple[int, int]]:
    """Return (first, last) of every block with these markers. Raises EditError where one is alone."""
    found: list[tuple[int, int]] = []
    first: int | None = None
    for index, line in enumerate(lines):
        if line == begin and first is None:
            first = index
        elif line == end and first is not None:
            found.append((first, index))
            first = None
        elif line in (begin, end):
            raise _alone(index, line)
    if first is not None:
        raise _alone(first, begin)
    return found


def _alone(index: int, marker: str) -> EditError:
    return EditError(
        f"line {index + 1}, {marker!r}, is a marker without its other half",
        "repair the file: where the block begins and ends cannot be told",
    )


def _replaced(text: Lines, blocks: list[tuple[int, int]], lines: list[str]) -> Lines:
    """Return the text with the first block replaced and further ones removed."""
    cuts = [Cut(first=first, after=last + 1) for first, last in blocks]
    return text.changed([cuts[0].replace(lines=tuple(lines)), *cuts[1:]])
