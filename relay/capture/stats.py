"""What capture counts; the metrics page reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Observer", "Stats"]


@dataclass(slots=True)
class Stats:
    """Counters since the start, and a few present values. Only the capture room writes here."""

    polls: int = 0
    rows: int = 0
    changes: int = 0
    bad_rows: int = 0
    bad_payloads: int = 0
    wakes: int = 0
    controls: int = 0
    sleeps: int = 0
    unannounced_events: int = 0
    reconnects: int = 0
    gate_losses: int = 0
    gaps: int = 0
    large_commits: int = 0
    lagging_sources: int = 0
    queue_usage: float = 0.0
    poll_seconds: float = 0.0
    state: str = "down"
    as_of: datetime | None = None


class Observer:
    """Sees the turning points of capture. Does nothing; tests put one in its place to force an interleaving."""

    async def state_changed(self, state: str) -> None:
        """The loop is now ``down``, ``awake``, ``drowsy`` or ``asleep``."""

    async def polling(self) -> None:
        """A poll is about to begin."""

    async def polled(self, rows: int) -> None:
        """A poll has returned with so many rows."""

    async def requested(self) -> None:
        """The gate is about to be requested."""

    async def granted(self) -> None:
        """The gate has been granted."""

    async def released(self) -> None:
        """The gate has been given back."""
