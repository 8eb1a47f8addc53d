"""Delete from installed libraries what an agent on Linux cannot import, or never does.

    python3 docker/trim.py PACKAGES

tests/container/test_installed.py imports all that is left, so that nothing here is needed after all.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys

UNUSED = [
    # The descriptions are for who chooses a library; its licence and its list of parts stay.
    *("bin", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    # For compilers and type checkers.
    *("**/py.typed", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/tests"),
    # What rich needs to colour source code and Markdown, and to show a traceback.
    *("pygments", "pygments-*", "markdown_it", "markdown_it_py-*", "mdurl", "mdurl-*"),
    *("rich/markdown.py", "rich/syntax.py", "rich/traceback.py"),
    # PyNaCl's bindings are compiled: of cffi they need _cffi_backend alone.
    *("cffi", "cffi-*", "pycparser", "pycparser-*"),
    # The same again in Python, a fifth of the size; it guesses the encoding of web pages.
    *("charset_normalizer/*.so", "charset_normalizer/cli"),
    # The pydantic of before 2, and what is for other programs.
    *("pydantic/v1", "pydantic/mypy.py", "urllib3/contrib/emscripten"),
    *("urllib3/contrib/pyopenssl.py", "urllib3/contrib/socks.py", "urllib3/http2/connection.py"),
    # Other systems.
    *("psutil/_psaix.py", "psutil/_psbsd.py", "psutil/_psosx.py", "psutil/_pssunos.py"),
    *("psutil/_pswindows.py", "rich/_win32_console.py", "rich/_windows_renderer.py"),
]


def main(packages: str) -> None:
    """Trim the libraries in a folder."""
    for pattern in UNUSED:
        for path in glob.glob(os.path.join(packages, pattern), recursive=True):
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
    for path in glob.glob(os.path.join(packages, "*.dist-info", "METADATA")):
        with open(path, encoding="utf-8") as file:
            fields = file.read().partition("\n\n")[0]
        with open(path, "w", encoding="utf-8") as file:
            file.write(fields + "\n\n")


if __name__ == "__main__":
    main(sys.argv[1])
