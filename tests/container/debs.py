"""A tiny apt repository for tests: offline, fast, with versions, scripts and conffiles at will.

Mount the folder into a container and name it in a source list:
`deb [trusted=yes] file:/srv/debs ./`
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = "deb [trusted=yes] file:{folder} ./\n"


@dataclass(frozen=True)
class Deb:
    """One package. `control`: further fields; `scripts`: by name (postinst …), sh without `#!`."""

    name: str
    version: str = "1.0"
    control: Mapping[str, str] = field(default_factory=dict)
    conffiles: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)


def _hello(version: str) -> Deb:
    return Deb("hello", version, conffiles={"/etc/hello.conf": f"from {version}\n"})


DEBS = (
    _hello("1.0"),
    _hello("1.1"),
    _hello("2.0"),
    Deb("web", control={"Depends": "hello", "Recommends": "extra"}),
    Deb("extra"),
    Deb("libtest++", "3.1"),
    Deb("rival", control={"Conflicts": "hello"}),
    Deb("tied", control={"Depends": "nowhere"}),
    Deb("keeper", control={"Essential": "yes"}),
    Deb("broken", scripts={"postinst": "echo cannot go on >&2; exit 3"}),
    Deb("slow", scripts={"postinst": "touch /run/slow-configures; sleep ${SLOW:-3}"}),
    Deb("bulky", files={f"/usr/share/bulky/{n:04}": "x" * 4000 for n in range(4000)}),
)


def build(folder: str | Path, debs: Sequence[Deb] = DEBS) -> None:
    """Make these packages and their index (Packages, Release) in `folder`. Needs dpkg-deb."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    packages = "\n".join(_make(folder, deb) for deb in debs)
    (folder / "Packages").write_text(packages)
    digest = hashlib.sha256(packages.encode()).hexdigest()
    release = f"Suite: lab\nCodename: lab\nSHA256:\n {digest} {len(packages)} Packages\n"
    (folder / "Release").write_text(release)


def _make(folder: Path, deb: Deb) -> str:
    """Build one package; return its entry for the index."""
    target = folder / f"{deb.name}_{deb.version}_all.deb"
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        for path, text in {**deb.conffiles, **deb.files}.items():
            _put(tree / path.lstrip("/"), text)
        _put(tree / f"usr/share/doc/{deb.name}/version", deb.version + "\n")
        _put(tree / "DEBIAN/control", _control(deb))
        if deb.conffiles:
            _put(tree / "DEBIAN/conffiles", "".join(f"{path}\n" for path in deb.conffiles))
        for name, body in deb.scripts.items():
            _put(tree / "DEBIAN" / name, f"#!/bin/sh\n{body}\n").chmod(0o755)
        command = ["dpkg-deb", "-Zgzip", "--root-owner-group", "-b", str(tree), str(target)]
        subprocess.run(command, check=True, capture_output=True)
    data = target.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return f"{_control(deb)}Filename: ./{target.name}\nSize: {len(data)}\nSHA256: {digest}\n"


def _control(deb: Deb) -> str:
    fields = {
        "Package": deb.name,
        "Version": deb.version,
        "Architecture": "all",
        "Maintainer": "Nobody <nobody@example.org>",
        **deb.control,
        "Description": f"tiny {deb.name}",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    path.write_text(text)
    path.chmod(0o644)
    return path
