"""The supervisor below libfaketime: `faked.py FD AGENT`, started as its own program would be.

libfaketime moves what Python asks the clock for; of a timerfd it takes every time for the wall clock's,
so that is set by the C library itself.
"""

from __future__ import annotations

import _ctypes
import sys

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    from converge.daemon import __main__ as program
    from converge.daemon import kernel

    kernel._libc = _ctypes.dlopen("libc.so.6", 0)
    sys.exit(program.main())
