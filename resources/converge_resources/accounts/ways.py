"""Which of the two ways of changing accounts is taken."""

from __future__ import annotations

from converge_resources.accounts.commands import PROGRAMS, ShadowUtils
from converge_resources.accounts.own import OwnWriter
from converge_resources.accounts.tables import COLUMNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from converge.system import System


def way(system: System, *, force: bool = False) -> ShadowUtils | OwnWriter:
    """Return shadow-utils where all of them are here and may replace the account files.

    Below a root prefix no program is found. `force`: usermod and userdel would refuse a user with
    running processes, which our own writer does not ask about.
    """
    mounted = any(system.is_mount_point(f"/etc/{name}") for name in COLUMNS)
    if force or mounted or not all(system.which(program) for program in PROGRAMS):
        return OwnWriter(system)
    return ShadowUtils(system)
