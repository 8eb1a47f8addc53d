"""YAML edited in its text: only the members that differ, in the manner of the file."""

from __future__ import annotations

from converge_resources.parts import cuts, yaml_nodes
from converge_resources.parts.plain_data import MISSING, same
from converge_resources.parts.yaml_style import Style, flow, scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from converge_resources.parts.cuts import Cut
    from converge_resources.parts.yaml_nodes import Item, Node

_MOST_PASSES = 100  # each removes something, or adds what is new
_FLOW = ("{", "[")


def load(text: str) -> Any:
    """Return the data of a text, MISSING if there is none. Raises EditError, RecursionError."""
    root = yaml_nodes.read(text)
    return MISSING if root is None else root.value


def rewrite(text: str, data: Any) -> str:
    """Return the text of other data, what is the same in it as it was. Raises EditError."""
    for _ in range(_MOST_PASSES):
        root = yaml_nodes.read(text)
        if root is None or root.start == root.end:
            start = text if not text or text.endswith("\n") else text + "\n"
            return start + _style(text, root).top(data) + "\n"
        if same(root.value, data):
            break
        writer = _Writer(text, _style(text, root))
        writer.root(root, data)
        before, text = text, cuts.applied(text, writer.cuts)
        if text == before:
            return text + "\n"  # a `|` block at the end of a file without a break wants one
    return text


class _Writer:
    """Collects what has to be cut from a text, and what comes in its place."""

    def __init__(self, text: str, style: Style) -> None:
        self._text = text
        self._style = style
        self.cuts: list[Cut] = []

    def root(self, node: Node, data: Any) -> None:
        """Make the whole document what it shall be."""
        if self._inside(node, data, in_flow=False):
            return
        line = self._text.rfind("\n", 0, node.start) + 1
        beside = self._text[line : node.start].strip()  # `---`, where no block may begin
        new = self._style.top(data)
        self.cuts.append((node.start, node.end, "\n" * bool(beside) + new))

    def _inside(self, node: Node, data: Any, *, in_flow: bool) -> bool:
        """Edit a collection that stays one; return False where it does not, or has no items."""
        if not node.items or not data or type(node.value) is not type(data):
            return False
        if isinstance(data, dict):
            return self._members(node, data, in_flow or node.style in _FLOW)
        return self._elements(node, data, in_flow or node.style in _FLOW)

    def _item(self, item: Item, value: Any, *, in_flow: bool, indent: int, dash: bool) -> None:
        """Make an item's value what it shall be."""
        node = item.node
        if same(node.value, value) or self._inside(node, value, in_flow=in_flow):
            return
        simple = not isinstance(value, dict | list) and not (
            isinstance(value, str) and "\n" in value
        )
        if node.start < node.end and (in_flow or (simple and node.style in ("", "'", '"'))):
            self.cuts.append((node.start, node.end, flow(value, node.style)))
        elif in_flow:
            self.cuts.append((item.after, node.end, " " + flow(value)))
        else:
            new = self._style.item if dash else self._style.value
            self.cuts.append((item.after, node.end, new(value, indent)))

    def _members(self, node: Node, data: dict[str, Any], in_flow: bool) -> bool:
        kept = [item for item in node.items if item.key in data]
        if len(kept) < len(node.items):  # what is new comes with the next pass
            return self._remove(node, kept, in_flow)
        indent = _indent(self._text, node)
        for item in kept:
            self._item(item, data[str(item.key)], in_flow=in_flow, indent=indent, dash=False)
        known = {item.key for item in kept}
        for key, value in [(key, one) for key, one in data.items() if key not in known]:
            shown = f"{scalar(key)}: {flow(value)}"
            self._add(node, shown if in_flow else self._style.member(key, value, indent), in_flow)
        return True

    def _elements(self, node: Node, data: list[Any], in_flow: bool) -> bool:
        left = cuts.remaining(node.value, data)
        if left is not None:
            return self._remove(node, [node.items[index] for index in left], in_flow)
        count = len(node.items)
        if len(data) < count:
            return False
        indent = _indent(self._text, node)
        for item, value in zip(node.items, data, strict=False):
            self._item(item, value, in_flow=in_flow, indent=indent, dash=True)
        for value in data[count:]:
            shown = flow(value) if in_flow else f"-{self._style.item(value, indent)}"
            self._add(node, shown, in_flow)
        return True

    def _remove(self, node: Node, kept: list[Item], in_flow: bool) -> bool:
        """Cut all items but these (one at least is to go)."""
        if not kept:
            return False
        if in_flow:
            self.cuts += cuts.leaving(node.items, kept)
            return True
        starts = {item.start for item in kept}
        for index, item in enumerate(node.items):
            if item.start in starts:
                continue
            line = self._text.rfind("\n", 0, item.start) + 1
            if self._text[line : item.start].strip():  # it shares its line with a dash above it
                self.cuts.append((item.start, node.items[index + 1].start, ""))
                return True  # the rest in the next pass
            self.cuts.append((line, self._end_of_line(item.node.end) + 1, ""))
        return True

    def _add(self, node: Node, shown: str, in_flow: bool) -> None:
        last = node.items[-1].node.end
        if in_flow:
            self.cuts.append((last, last, f", {shown}"))
            return
        at = self._end_of_line(last)
        self.cuts.append((at, at, "\n" + " " * _indent(self._text, node) + shown))

    def _end_of_line(self, at: int) -> int:
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found


def _indent(text: str, node: Node) -> int:
    """Return how deep the items of a block are indented; a key after a question mark is deeper."""
    return min(_column(text, item.start) for item in node.items)


def _column(text: str, at: int) -> int:
    return at - text.rfind("\n", 0, at) - 1


def _style(text: str, root: Node | None) -> Style:
    """Return how a document is indented: what shows it first says it."""
    found: dict[str, int] = {}
    todo = [] if root is None else root.items[::-1]
    while todo:
        item = todo.pop()
        todo += item.node.items[::-1]
        least = {"map": 1, "list": 0}.get(item.node.style)
        if least is not None and isinstance(item.key, str) and item.node.items:
            deeper = _indent(text, item.node) - _column(text, item.start)
            if deeper >= least:  # it is not after a question mark
                found.setdefault(item.node.style, deeper)
    return Style(found.get("map", 2), found.get("list", 2))
