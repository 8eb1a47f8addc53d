"""Do one scenario in a process of its own, which strace kills: driver_write.py SCENARIO FOLDER."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults import scenarios

if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    os.chdir("/")  # the mark: what is traced begins here
    if name == "recover":
        scenarios.recover(folder)
    else:
        scenarios.run(name, folder)
