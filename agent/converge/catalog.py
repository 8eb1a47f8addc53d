"""The catalog: profile, vars and facts compiled to concrete resources in dependency order.

Plain data: `dump` and `load` go through JSON, and what is loaded is run without pydantic, PyYAML
or Jinja2.
"""

from __future__ import annotations

from converge import kinds
from converge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 2
_LISTS = {"after", "notify", "tags", "phase"}


class Resource(Record):
    """One declared thing, ready to be run. `spec` is plain data for the kind's Spec class."""

    id: str
    kind: str
    spec: dict[str, Any]
    file: str
    line: int
    wave: int = 0
    after: tuple[str, ...] = ()  # ids that go first, explicit and implied
    notify: tuple[str, ...] = ()  # ids that are refreshed when this one changed
    tags: tuple[str, ...] = ()
    noop: bool = False
    phase: tuple[str, ...] = ()  # of which runs it is part; empty: of all
    on_unmanageable: str = "fail"
    selected: bool = True  # False: its `when` is false

    def whole_spec(self) -> dict[str, Any]:
        """Return all of the spec; one that was kept lacks what is as it is by default."""
        return kinds.load(self.kind).spec.whole(self.spec).as_dict() if self.spec else {}

    def brief(self) -> dict[str, Any]:
        """Return the spec as it is kept."""
        return kinds.load(self.kind).spec.whole(self.spec).declared() if self.spec else {}


class Catalog(Record):
    """All resources, wave by wave. `inputs` tells what it was compiled from:

    `files` (path → digest), `absent` (paths of layers that are not there), `facts`,
    `facts_files` (paths of the custom ones), and `asserted`, the phase whose assertions hold, None
    where they are the same in all. `secrets` maps ids to the references
    (converge.secrets) in their specs.
    """

    profile: str
    source: str
    resources: tuple[Resource, ...]
    inputs: dict[str, Any]
    secrets: dict[str, list[dict[str, Any]]] = {}  # noqa: RUF012  frozen

    def dump(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        resources = [{**one.declared(), "spec": one.brief()} for one in self.resources]
        return {"version": VERSION, **self.as_dict(), "resources": resources}


def load(data: dict[str, Any]) -> Catalog:
    """Return the catalog of what `dump` gave. Raises ValueError for another version."""
    if data.get("version") != VERSION:
        raise ValueError(f"a catalog of version {data.get('version')!r}, not {VERSION}")
    resources = []
    for plain in data["resources"]:
        for name in _LISTS & plain.keys():
            plain[name] = tuple(plain[name])
        resources.append(Resource.whole(plain))
    return Catalog(
        profile=data["profile"],
        source=data["source"],
        resources=tuple(resources),
        inputs=data["inputs"],
        secrets=data["secrets"],
    )
