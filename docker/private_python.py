"""Copy the running Python and the standard library to a directory of the agent's own.

    python3 docker/private_python.py DESTINATION

The agent must outlive whatever a profile or an application does to the image's own `python3`, and
must not bring one into images that have none. Left out is what an agent never imports (tests,
desktop toolkits, installers), what would need further libraries (curses, readline, sqlite), and what
Python itself has given up. tests/container/test_installed.py imports all that is left.
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
    *("sitecustomize.py", "test", "unittest", "doctest.py", "pydoc*", "ensurepip", "venv"),
    *("_pyrepl", "idlelib", "lib2to3", "sqlite3", "tkinter", "turtle*", "xx*", "_xx*"),
    *("_crypt.*", "_curses*", "_dbm.*", "_gdbm.*", "_lsprof.*", "_sqlite3.*", "_test*"),
    *("_tkinter.*", "ossaudiodev.*", "readline.*"),
    # What can then not be imported: encodings of East Asia, and what is for the above.
    *("_codecs_*", "big5*", "cp932.*", "cp949.*", "cp950.*", "euc_*", "gb*.py", "hz.py"),
    *("iso2022_*", "johab.*", "shift_jis*", "_multibytecodec.*", "curses", "gnu.py", "ndbm.py"),
    *("cProfile.py", "profile.py", "pstats.py"),
    # Gone, or to go, from Python itself (PEP 594, 632 and others).
    *("aifc.py", "asynchat.py", "asyncore.py", "audioop.*", "cgi.py", "cgitb.py", "chunk.py"),
    *("crypt.py", "distutils", "imghdr.py", "mailcap.py", "msilib", "nis.*", "nntplib.py"),
    *("pipes.py", "smtpd.py", "sndhdr.py", "spwd.*", "sunau.py", "telnetlib.py", "uu.py"),
    *("xdrlib.py", "_distutils_system_mod.py", "_bootsubprocess.py"),
    # Other systems, and the same in Python of what is there in C.
    *("_aix_support.py", "_osx_support.py", "_pydecimal.py", "_pyio.py", "mbcs.py", "oem.py"),
    *("windows_events.py", "windows_utils.py", "popen_spawn_win32.py"),
    # Games and tools of the one who writes programs.
    *("antigravity.py", "this.py", "__hello__.py", "__phello__", "pickletools.py", "pyclbr.py"),
    *("modulefinder.py", "symtable.py", "tabnanny.py", "trace.py", "zipapp.py", "wsgiref"),
    *("mailbox.py", "webbrowser.py"),
]


def main(destination: str) -> None:
    """Make the copy."""
    standard_library = sysconfig.get_path("stdlib")
    library = os.path.join(destination, "lib", os.path.basename(standard_library))
    program = os.path.join(destination, "bin", "python")
    os.makedirs(os.path.dirname(program))
    shutil.copy(os.path.realpath(sys.executable), program)
    shutil.copytree(standard_library, library, ignore=shutil.ignore_patterns(*UNUSED))
    os.unlink(os.path.join(library, "xmlrpc", "server.py"))  # imports pydoc
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
