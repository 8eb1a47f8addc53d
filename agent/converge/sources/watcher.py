"""The watcher: waits for news at a source, beside the resident agent, in a process of its own.

Started by the supervisor (converge.daemon.watcher) with the settings on stdin, as a worker is, and with
a pipe as descriptor 3 that ends when the agent does. A source may replace the process by one that costs
less (converge.sources.etcd_watch). Exit codes: 0 there is news, 1 the source cannot be watched now.
"""

from __future__ import annotations

import os
import sys

from converge import sources
from converge.bundle import memory
from converge.errors import ConvergeError
from converge.reports import logline
from converge.state import directory as states
from converge.worker import settings_of


def main() -> int:
    """Wait, and exit when there is news."""
    request = sys.stdin.buffer.read()
    size, _, rest = request.partition(b"\n")
    parent = rest[: int(size)].decode().split("\0")[2]
    if os.getppid() != int(parent):
        return 1
    settings, _ = settings_of(rest[int(size) :])
    try:
        source = sources.load(settings.profile)(settings.profile, settings)
        state = states.find(settings.state_dir, settings.root, create=False)
        name = settings.bundle_name or source.name
        source.wait(memory.load(state, name, settings.profile).last_tag)
    except ConvergeError as error:
        line = logline.event(settings.log_format, str(error), "warning")
        logline.write([line], settings.log_to)
        return 1
    return 0
