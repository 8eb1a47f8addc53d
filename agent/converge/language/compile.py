"""Compiling: profile + vars + facts become a catalog, or every problem that stands in the way."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from converge import catalog, kinds
from converge.errors import Problem, ProfileError
from converge.language import secret_references
from converge.language.compiler import Compiler
from converge.language.links import link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converge.facts import Facts
    from converge.language.profile import Profile, Read
    from converge.systemd.found import Found


def compile_profile(
    profile: Profile,
    facts: Facts,
    variables: Mapping[str, Any],
    read: Read,
    own: list[str],
    unmet: list[Problem] | None = None,
    phase: str | None = None,
) -> catalog.Catalog:
    """Return the catalog of a profile. Raises ProfileError with every problem found.

    An assertion that does not hold is a problem, unless there is a list `unmet` to take it. Those of
    `phase` are asked, of None all.
    `variables` (from flags and the environment) override the profile's. `read` gives a file of the
    profile's folder. `own` are the agent's own paths, which no resource may remove.
    """
    try:
        made = _compile(profile, facts, variables, read, own, unmet, phase)
    except ProfileError as error:
        raise ProfileError.of([*profile.problems, *error.problems]) from error
    if profile.problems:
        raise ProfileError.of(profile.problems)
    return made


def _compile(
    profile: Profile,
    facts: Facts,
    variables: Mapping[str, Any],
    read: Read,
    own: list[str],
    unmet: list[Problem] | None,
    phase: str | None,
) -> catalog.Catalog:
    from converge.language import assertions, layers
    from converge.language.template import Templates

    templates = Templates()
    gathered = layers.gather(profile, facts, variables, templates, read)
    names = gathered.variables(facts, templates)
    asked = [one for one in profile.assertions if not (one.phase and phase) or phase in one.phase]
    assertions.enforce(asked, templates, names, unmet)
    compiler = Compiler(profile, templates, names, read, own)
    for declaration in profile.declarations:
        compiler.add(declaration)
    imported = _import(profile, facts, compiler)
    resources = link(compiler.compiled, compiler.problem, compiler.failed)
    compiler.stop_if_wrong()
    return catalog.Catalog(
        profile=profile.name,
        source=profile.folder,
        resources=tuple(resources),
        inputs={
            "files": _digests(profile.files) | _digests(gathered.files) | compiler.sources,
            "absent": gathered.absent,
            "plug_ins": kinds.versions(one.kind for one in resources),
            "facts": facts.used(),
            "facts_files": facts.paths(),
            "asserted": phase if any(one.phase for one in profile.assertions) else None,
            "system": imported and imported.inputs(profile.system, compiler.notes),
        },
        secrets=secret_references.of(resources),
    )


def _import(profile: Profile, facts: Facts, compiler: Compiler) -> Found | None:
    """Add what the packages here declare, where the profile includes it and says nothing itself."""
    if not profile.system:
        return None
    from converge import systemd

    found = systemd.expand(profile.system, facts.system)
    compiler.add_imported(found.declarations())
    return found


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
