"""Changing the account files: under their lock, all read, all written."""

from __future__ import annotations

from contextlib import contextmanager

from converge_resources.accounts.database import Accounts
from converge_resources.accounts.lock import locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from converge.system import System


@contextmanager
def editing(system: System) -> Iterator[Accounts]:
    """Lend the account files under the passwd lock; what was changed is written at the end."""
    with locked(system):
        accounts = Accounts(system)
        yield accounts
        accounts.save(system)
