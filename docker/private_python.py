"""Copy the running Python and the standard library to a directory of the agent's own.

    python3 docker/private_python.py DESTINATION

The agent must outlive whatever a profile or an application does to the image's own `python3`, and
must not bring one into images that have none. Left out is what an agent never imports (tests,
desktop toolkits, installers) and what would need further libraries (curses, readline, sqlite).
DESTINATION/packages names the Debian packages of the shared libraries that it is linked with.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import sysconfig

UNUSED = [
    *("__pycache__", "config-*", "dist-packages", "site-packages", "EXTERNALLY-MANAGED"),
    *("sitecustomize.py", "test", "unittest", "pydoc*", "ensurepip", "venv", "distutils"),
    *("_pyrepl", "idlelib", "lib2to3", "sqlite3", "tkinter", "turtle*", "xx*", "_xx*"),
    *("_codecs_*", "_crypt.*", "_curses*", "_dbm.*", "_gdbm.*", "_lsprof.*", "_sqlite3.*"),
    *("_test*", "_tkinter.*", "audioop.*", "nis.*", "ossaudiodev.*", "readline.*"),
]


def main(destination: str) -> None:
    """Make the copy."""
    standard_library = sysconfig.get_path("stdlib")
    library = os.path.join(destination, "lib", os.path.basename(standard_library))
    program = os.path.join(destination, "bin", "python")
    os.makedirs(os.path.dirname(program))
    shutil.copy(os.path.realpath(sys.executable), program)
    shutil.copytree(standard_library, library, ignore=shutil.ignore_patterns(*UNUSED))
    extensions = glob.glob(os.path.join(library, "lib-dynload", "*.so"))
    packages = {package_of(path) for path in libraries_of([program, *extensions])}
    with open(os.path.join(destination, "packages"), "w", encoding="ascii") as file:
        file.write("\n".join(sorted(packages)) + "\n")


def libraries_of(programs: list[str]) -> set[str]:
    """Return the real paths of the shared libraries that these are linked with."""
    lines = _output("ldd", *programs).splitlines()
    return {os.path.realpath(line.split()[2]) for line in lines if " => /" in line}


def package_of(path: str) -> str:
    """Return the package that owns a file; dpkg may know it by its name below / or /usr."""
    return _output("dpkg-query", "-S", "*" + path.removeprefix("/usr")).partition(":")[0]


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(sys.argv[1])
