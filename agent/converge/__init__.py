"""converge: configuration management for containers. The names here are for authors of kinds.

They are imported when they are asked for: the resident process and `converge health` need none.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as from typing, which takes three milliseconds
if TYPE_CHECKING:
    from typing import Any

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

_HOMES = ("errors", "provider", "system")


def __getattr__(name: str) -> Any:
    """Import one of the names above (PEP 562)."""
    if name in __all__:
        from importlib import import_module

        for home in _HOMES:
            module = import_module(f"converge.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'converge' has no attribute {name!r}")
