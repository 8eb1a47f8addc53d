"""Where profiles come from that are not on this machine: one module a scheme.

A source only fetches: what it brings is believed, kept and put into force by `bundle.in_force`. To
add one: a subclass of `Source`, and a row in `BUILT_IN`; or an entry point in the group
`converge.sources` (name: the scheme, value: `module:class`) in a distribution of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from converge.errors import ConvergeError, UsageError
from converge.record import Record

if TYPE_CHECKING:
    from converge.bundle.check import Signed
    from converge.config import Settings

BUILT_IN: dict[str, str] = {
    "etcd": "converge.sources.etcd:EtcdSource",
    "etcds": "converge.sources.etcd:EtcdSource",
    "http": "converge.sources.web:WebSource",
    "https": "converge.sources.web:WebSource",
    "oci": "converge.sources.oci:OciSource",
}


class SourceError(ConvergeError):
    """The source could not be asked, or did not answer as one: what is here stays in force."""


class Fetched(Record):
    """What a source has now.

    `signed.content` is a bundle, or one profile alone (YAML) if `single`. `tag` is the source's
    own name for this version (an ETag, a revision, a digest), for the next question.
    """

    signed: Signed
    tag: str = ""
    single: bool = False


class Source(ABC):
    """One place that a profile comes from."""

    watchable: ClassVar[bool] = False  # True: `wait` works, and a process of its own may wait in it

    def __init__(self, url: str, settings: Settings) -> None:
        """MAY be extended. Raises UsageError for a URL or settings that make no sense."""
        self.url = url
        self.settings = settings

    @property
    def name(self) -> str:
        """MAY be overridden. The name that the bundle must be signed with, unless one is set."""
        last = self.url.split("?")[0].rstrip("/").rpartition("/")[2]
        for ending in (".tar.gz", ".tgz", ".yaml", ".yml"):
            last = last.removesuffix(ending)
        return last

    @abstractmethod
    def fetch(self, tag: str) -> Fetched | None:
        """MUST be overridden. Return what is there; None: what had this tag (if any) still is.

        Bounded in time and size. Raises SourceError.
        """

    def wait(self, tag: str) -> None:
        """MAY be overridden. Return once the source has something else than what had this tag.

        Runs in a process of its own for as long as it takes, which it may replace (exec) by a
        smaller one that exits with 0. It must end when descriptor 3 does. Raises SourceError.
        """
        raise NotImplementedError


def load(url: str) -> type[Source]:
    """Return the class for a URL's scheme. Raises UsageError if there is none."""
    from importlib import import_module

    scheme = url.partition("://")[0].lower()
    target = BUILT_IN.get(scheme) or _plug_ins().get(scheme)
    if target is None:
        known = ", ".join(sorted({*BUILT_IN, *_plug_ins()}))
        raise UsageError(f"no source is known for `{scheme}://`", f"use a path, or one of {known}")
    module, _, name = target.partition(":")
    found: type[Source] = getattr(import_module(module), name)
    return found


def _plug_ins() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group="converge.sources")}
