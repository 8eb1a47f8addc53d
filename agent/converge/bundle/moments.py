"""Moments as people write them for all machines alike: UTC, to the second, RFC 3339."""

from __future__ import annotations

import time
from datetime import UTC, datetime

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def parse(text: str) -> float:
    """Return a moment such as 2027-01-31T00:00:00Z in seconds since 1970. Raises ValueError."""
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC).timestamp()


def text(moment: float) -> str:
    """Return a moment, given in seconds since 1970, as `parse` takes it."""
    return time.strftime(_FORM, time.gmtime(moment))
