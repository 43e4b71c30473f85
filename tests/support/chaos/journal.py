"""What the writers know of their own transactions: which events certainly are committed, and which certainly not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

__all__ = ["EventId", "Journal", "Records", "read"]

#: An event's id and its time in microseconds since 1970. Ids alone may be given out again after a crash, to an event
#: of another transaction if the first one was not committed.
EventId = tuple[int, int]


class Journal:
    """Written by the writers. ``committed`` counts events."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self.committed = 0

    def commit(self, events: Iterable[EventId], *, durable: bool = True) -> None:
        """The server has said that they are committed. Not ``durable``: it may forget them in a crash."""
        events = list(events)
        self.committed += len(events)
        if durable:
            self._write("committed", events)

    def commit_tag(self, tag: int, *, durable: bool = True) -> None:
        """The same, for a statement that was a transaction of its own; its rows carry ``tag``."""
        self.committed += 1
        if durable:
            self._write("tag", tag)

    def roll_back(self, events: Iterable[EventId]) -> None:
        """They were undone: by a rollback, to a savepoint, or because the transaction failed."""
        if events := list(events):
            self._write("rolled_back", events)

    def _write(self, what: str, events: object) -> None:
        self._out.write(json.dumps([what, int(time.time() * 1e6), events]) + "\n")
        self._out.flush()


@dataclass
class Records:
    """The journal, read back. ``committed``: event -> when its commit was acknowledged (microseconds)."""

    committed: dict[EventId, int] = field(default_factory=dict)
    rolled_back: set[EventId] = field(default_factory=set)
    tags: set[int] = field(default_factory=set)


def read(path: Path) -> Records:
    """Everything that the writers noted."""
    records = Records()
    with path.open() as lines:
        for what, at, events in map(json.loads, lines):
            if what == "tag":
                records.tags.add(events)
            elif what == "rolled_back":
                records.rolled_back.update((id, stamp) for id, stamp in events)
            else:
                records.committed.update(((id, stamp), at) for id, stamp in events)
    return records
