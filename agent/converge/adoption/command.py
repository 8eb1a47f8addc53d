"""The command line of `converge adopt`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from converge import config, kinds
from converge.adoption import fallback, writing
from converge.adoption.checking import Checked
from converge.adoption.sources import Contents
from converge.declared import Asked
from converge.errors import UsageError
from converge.language import protect
from converge.system import System
from converge.textdiff import escaped
from converge.usage import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from converge.declared import Declared
    from converge.system import ReadOnlySystem

_OF_IMAGE = ("package", "group", "user", "file")
_EPILOG = "exit codes: 0 all of it is declared; 1 something that was named is not, and why is told"


def main(words: Sequence[str]) -> int:
    """Write live state as a profile; exit code 1 if something that was named is not in it."""
    options = parser().parse_args(words)
    _check(options)
    given = {"root": options.root} if options.root else {}
    settings = config.load(given, os.environ)
    system = System(settings.root).read_only()
    asked = Asked(names=tuple(options.names), changed=options.diff_image, versions=options.versions)
    asked_kinds = _OF_IMAGE if options.diff_image else (options.kind,)
    checked = Checked(system, protect.own_paths(settings.state_dir))
    found = checked.check(one for kind in asked_kinds for one in _declare(kind, asked, system))
    contents = Contents(system, beside=bool(options.output))
    found = [contents.settle(one) for one in found]
    text = writing.profile("adopted", _title(options, system), found)
    if options.output:
        contents.put(options.output, text)
        _say(f"{options.output}/profile.yaml: {_count(found)} resources")
    else:
        sys.stdout.write(text)
    left = [one for one in found if one.reason]
    for one in left if asked.names else ():
        _say(f"{one.kind}:{one.name}: {one.reason}")
    return 1 if left and asked.names else 0


def _declare(kind: str, asked: Asked, system: ReadOnlySystem) -> list[Declared]:
    try:
        provider = kinds.load(kind)
        told = provider.declare(asked, system)
        return list(fallback.from_states(provider, asked, system) if told is None else told)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UsageError(f"{kind}: {where}{error.strerror or error}") from error


def _check(options: argparse.Namespace) -> None:
    """Raise UsageError for what makes no sense."""
    if options.diff_image:
        if options.kind:
            raise UsageError("--diff-image goes without a kind", "converge adopt --diff-image")
        return
    if not options.kind:
        raise UsageError("which kind?", "converge adopt KIND [NAME…], or --diff-image")
    if options.kind not in kinds.names():
        from converge.errors import close_match

        remedy = close_match(options.kind, kinds.names()) or "see `converge kinds`"
        raise UsageError(f"there is no kind `{options.kind}`", remedy)


def _title(options: argparse.Namespace, system: ReadOnlySystem) -> str:
    what = "--diff-image" if options.diff_image else " ".join([options.kind, *options.names])
    host = system.text("/etc/hostname").strip() if system.prefixed else os.uname().nodename
    return escaped(f"What is there in {host or 'this container'}: converge adopt {what}")


def _say(text: str) -> None:
    sys.stderr.write(f"converge: {escaped(text)}\n")


def _count(found: Sequence[Declared]) -> int:
    return sum(not one.reason for one in found)


def parser() -> argparse.ArgumentParser:
    """Return the parser of `converge adopt`."""
    top = Parser(
        prog="converge adopt", epilog=_EPILOG,
        description="Write what is there as a profile. Nothing is changed, no secret is written.",
    )  # fmt: skip
    add = top.add_argument
    add("kind", nargs="?", metavar="KIND", help="the kind of resources")
    add("names", nargs="*", metavar="NAME", help="these; default: all that can be listed")
    add(
        "--diff-image",
        action="store_true",
        help="what was changed and added since packages were installed (dpkg)",
    )
    add("--output", metavar="DIR", help="write DIR/profile.yaml, and the files that it names")
    add("--versions", action="store_true", help="of packages the versions too")
    add("--root", metavar="DIR", help="treat DIR as the root of the file system")
    return top
