"""One change that is made to fail, in a process of its own: `driver_fail.py NAME FOLDER`.

Prints, as JSON, what was raised and how many descriptors were open before and after.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from converge.errors import ConvergeError
from faults import scenarios


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def main(name: str, folder: Path) -> dict[str, object]:
    """Try the change once; return what happened."""
    system = scenarios.system_of(folder)
    system.lstat(scenarios.TARGET)  # the directory is remembered, and stays open
    before = descriptors()
    os.chdir("/")  # the mark: what is traced begins here
    raised: Exception | None = None
    try:
        scenarios.SCENARIOS[name].change(system)
    except Exception as error:  # noqa: BLE001  whatever it is, it is told
        raised = error
    return {
        "class": None if raised is None else type(raised).__name__,
        "family": isinstance(raised, (OSError, ConvergeError)),
        "text": str(raised),
        "leaked": descriptors() - before,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
