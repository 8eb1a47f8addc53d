"""Write the tables of attributes in docs/kinds from what `converge kinds` says of each kind.

    python docs/attributes.py            write them (make docs)
    python docs/attributes.py --check    name the pages that would change; exit 1 if there are any

A page is written by hand but for what stands between the two markers, which is at its end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from converge import kinds
from converge.language import reference

PAGES = Path(__file__).resolve().parent / "kinds"
BEGIN = "<!-- From the kind's own description, by `make docs`. -->\n"
END = "<!-- To here. -->\n"


def main(check: bool) -> int:
    """Write or check all pages; return the exit code."""
    made = {PAGES / f"{kind}.md": table(reference.plain(kind)) for kind in kinds.BUILT_IN}
    made[PAGES / "README.md"] = index(reference.plain(None))
    stale = [page for page, section in made.items() if renewed(page, section) != read(page)]
    for page in stale:
        print(page)
        if not check:
            page.write_text(renewed(page, made[page]), encoding="utf-8")
    return 1 if check and stale else 0


def read(page: Path) -> str:
    """Return a page, empty if there is none."""
    return page.read_text(encoding="utf-8") if page.exists() else ""


def renewed(page: Path, section: str) -> str:
    """Return a page with this section between its markers, at its end if it has none."""
    head, _, rest = read(page).partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{'' if rest else chr(10)}{BEGIN}{section}{END}{tail}"


def table(kind: dict[str, Any]) -> str:
    """Return the section of one kind, from reference.plain(kind)."""
    lines = ["## Attributes", "", kind["description"], ""]
    lines += ["| attribute | type | default | |", "| --- | --- | --- | --- |"]
    for name, field in kind["attributes"].items():
        label = f"`{kind['kind']}`, the name" if name == "name" else f"`{name}`"
        columns = (label, field["type"], default(field), field["description"])
        lines.append(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in columns)} |")
    every = "[attributes that every resource has](../profile.md#attributes-that-every-resource-has)"
    return "\n".join([*lines, "", f"Besides these the {every}.", ""])


def default(field: dict[str, Any]) -> str:
    """Return what holds where an attribute is not written."""
    if field["required"]:
        return "required"
    return "" if field["default"] is None else f"`{json.dumps(field['default'])}`"


def index(described: dict[str, str]) -> str:
    """Return the list of all kinds, from reference.plain(None)."""
    rows = [f"| [{kind}]({kind}.md) | {described[kind]} |" for kind in sorted(kinds.BUILT_IN)]
    return "\n".join(["| kind | |", "| --- | --- |", *rows, ""])


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
