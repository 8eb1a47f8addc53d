"""The kind `json`: a value in a JSON file."""

from __future__ import annotations

from converge_resources.parts.data_keys import DataProvider, DataSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class JsonSpec(DataSpec):
    """A value in a JSON file; everything else in it keeps its order and its looks."""


class JsonProvider(DataProvider[JsonSpec]):
    """Reads and edits values of JSON files."""

    kind = "json"
    spec = JsonSpec

    def load(self, body: str) -> Any:
        """Return the data of a text, MISSING if it holds none. Raises EditError."""
        from converge_resources.parts import json_text

        return json_text.load(body)

    def rewrite(self, body: str, data: Any) -> str:
        """Return the text with other data. Raises EditError."""
        from converge_resources.parts import json_text

        return json_text.rewrite(body, data)
