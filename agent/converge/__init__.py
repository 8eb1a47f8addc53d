"""converge: configuration management for containers. The names here are for authors of kinds."""

from __future__ import annotations

from converge.errors import ApplyError, BatchError, CannotManageError, ConvergeError
from converge.provider import Change, Provider, Spec, State, Unmanageable, each, reading
from converge.system import ReadOnlySystem, System

__all__ = [
    "ApplyError",
    "BatchError",
    "CannotManageError",
    "Change",
    "ConvergeError",
    "Provider",
    "ReadOnlySystem",
    "Spec",
    "State",
    "System",
    "Unmanageable",
    "each",
    "reading",
]
__version__ = "0.1.0"
