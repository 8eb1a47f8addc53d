"""The kind `yaml`: a value in a YAML file."""

from __future__ import annotations

from converge_resources.parts.data_keys import DataProvider, DataSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class YamlSpec(DataSpec):
    """A value in a YAML file; comments, and everything else in it, stay as they are."""


class YamlProvider(DataProvider[YamlSpec]):
    """Reads and edits values of YAML files."""

    kind = "yaml"
    spec = YamlSpec

    def load(self, body: str) -> Any:
        """Return the data of a text, MISSING if it holds none. Raises EditError."""
        from converge_resources.parts import yaml_text

        return yaml_text.load(body)

    def rewrite(self, body: str, data: Any) -> str:
        """Return the text with other data. Raises EditError."""
        from converge_resources.parts import yaml_text

        return yaml_text.rewrite(body, data)
