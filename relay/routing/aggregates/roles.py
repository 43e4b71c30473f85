"""What a status means for an aggregate: the roles it plays, and one small number for each combination of roles."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

__all__ = ["Roles", "status_text"]


def status_text(value: Any) -> str | None:
    """A captured status as PostgreSQL's ``status::text`` gives it."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


class Roles:
    """``roles``: name -> the statuses that play it; None means every status, NULL included.

    Statuses that play the same roles are of one class, ``0 <= class < classes``.
    """

    def __init__(self, **roles: Collection[str] | None) -> None:
        everywhere = frozenset(name for name, statuses in roles.items() if statuses is None)
        self._combinations = [everywhere]
        self._class: dict[str | None, int] = {}
        for status in sorted({status for statuses in roles.values() for status in statuses or ()}):
            played = everywhere | {
                name for name, statuses in roles.items() if statuses and status in statuses
            }
            if played not in self._combinations:
                self._combinations.append(played)
            self._class[status] = self._combinations.index(played)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self._combinations)

    def of(self, status: Any) -> int:
        """The class of a captured status."""
        known = self._class.get(status) if isinstance(status, str) else self._class.get(status_text(status))
        return 0 if known is None else known

    def having(self, role: str) -> tuple[int, ...]:
        """The classes that play ``role``."""
        return tuple(number for number, played in enumerate(self._combinations) if role in played)
