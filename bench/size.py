#!/usr/bin/env python3
"""What the agent adds to the image that it is built on, in bytes of files, by part.

    bench/size.py [--image localhost/converge-base] [--base debian:bookworm-slim]

Every regular file that the image has and the base has not, or has with another size, is counted with
its size (a hard link once). The parts are the interpreter and its standard library, each library,
the agent, and each Debian package. MB are 10^6 bytes, as engines count them; an engine's own figure
is a little higher, for a layer has headers. tests/container/test_installed.py holds the sum to 45 MB.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter

_FILES = "find / -xdev -type f -links 1 -printf '%s %p\\n' -o -type f -printf '%s %i\\n' | sort -u"
_OWNERS = "cd /var/lib/dpkg/info && grep -H ^/ *.list"
_SITE = re.compile(r"/opt/converge/lib/python[^/]*/dist-packages/([^/]+)")
# What a library installs under names that are not its own.
_ALIASES = {"_yaml": "pyyaml", "yaml": "pyyaml", "nacl": "pynacl", "_cffi_backend": "cffi"}
_AGENT = ("converge", "converge_resources")


def inside(engine: str, image: str, script: str) -> str:
    """Return what a shell script prints in a container of an image."""
    run = [engine, "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", script]
    done = subprocess.run(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout


def files(engine: str, image: str) -> dict[str, int]:
    """Return the size in bytes of every regular file of an image."""
    lines = (line.split(" ", 1) for line in inside(engine, image, _FILES).splitlines())
    ours = ("/proc/", "/sys/", "/dev/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
    return {path: int(size) for size, path in lines if not path.startswith(ours)}


def owners(engine: str, image: str) -> dict[str, str]:
    """Return the Debian package of each path."""
    lines = (line.split(":/", 1) for line in inside(engine, image, _OWNERS).splitlines())
    return {"/" + path: re.split(r"[.:]", name)[0] for name, path in lines}


def part(path: str, packages: dict[str, str]) -> str:
    """Return the part that a file belongs to."""
    if found := _SITE.match(path):
        name = re.split(r"[-.]", found[1])[0]
        if name in _AGENT:
            return "the agent, " + ("compiled" if path.endswith(".pyc") else "sources")
        return "library " + _ALIASES.get(name, name)
    if path.startswith("/opt/converge/lib/"):
        return "Python's standard library"
    if path.startswith("/opt/converge/"):
        return "Python itself"
    owner = packages.get(path) or packages.get(path.removeprefix("/usr"))
    if owner:
        return "package " + owner
    return "package ca-certificates" if path.startswith("/etc/ssl/") else "the rest"


def added(engine: str, image: str, base: str) -> dict[str, int]:
    """Return the bytes that an image adds to its base, by part, largest first."""
    before, packages = files(engine, base), owners(engine, image)
    parts: Counter[str] = Counter()
    for path, size in files(engine, image).items():
        if before.get(path) != size:
            parts[part(path, packages)] += size
    return dict(parts.most_common())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--image", default="localhost/converge-base")
    parser.add_argument("--base", default="debian:bookworm-slim")
    options = parser.parse_args()
    engine = shutil.which("podman") or shutil.which("docker") or sys.exit("needs podman or docker")
    parts = added(str(engine), options.image, options.base)
    for name, size in [*parts.items(), ("in all", sum(parts.values()))]:
        print(f"{name:<28} {size / 1e6:>6.2f} MB")


if __name__ == "__main__":
    main()
