"""Reports as files in a directory that many containers share (a volume), for `converge fleet`.

Each container has one file, NAME.json, always whole. The directory may be shared with others, so it is
opened once and nothing in it is followed.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from converge.files import atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

MODE = 0o644


def put(path: str, made: Mapping[str, Any]) -> None:
    """Put a container's newest envelope into a directory. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        atomic.replace(
            fd, f"{made['container']}.json", json.dumps(made).encode() + b"\n", MODE, durable=False
        )
    finally:
        os.close(fd)
