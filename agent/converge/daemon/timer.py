"""When the next run is due. Times are seconds of CLOCK_BOOTTIME: no jump of the clock moves them.

The period is a grid that lies at another place in each container (the splay), so that 500 agents
that were started together do not run together. After failures: back-off with full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

import os

FIRST_PAUSE = 15.0  # seconds: the longest wait after the first failure
# Times as long after each further one: a few quick tries help against what passes; then what failed
# together, as its source was away, is spread as wide as the splay would, and does not come back at once.
GROWTH = 12.0
_MOST_STEPS = 20
_TOO_SOON = 0.1  # of the interval: a slot that follows a run so closely is left out


def due(now: float, interval: float, splay: float, failures: int) -> float:
    """Return when the run after this moment is due. `splay` is 0 to 1, or negative for none."""
    if failures:
        longest = min(interval, FIRST_PAUSE * GROWTH ** min(failures - 1, _MOST_STEPS))
        return now + longest * chance()
    if splay < 0:
        return now + interval
    offset = splay * interval
    slot = offset + ((now - offset) // interval + 1) * interval
    return slot if slot - now > interval * _TOO_SOON else slot + interval


def chance() -> float:
    """Return a random number, more than 0 and at most 1."""
    return (int.from_bytes(os.urandom(4), "big") + 1) / 2**32
