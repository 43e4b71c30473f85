"""What a client of the relay may remember, kept exactly as the protocol has it, and a diary of what it was told.

The rules: only the cursor of a checkpoint is kept, together with the views that were subscribed to then. An event is
dropped if its id came since the last checkpoint; one that is told again, word for word, changes nothing. ``resync``
makes a channel's rows, its ids and its view forgotten, and a subscription that is not resumed its view: until the next
checkpoint there is no position that goes with its rows. Rows are put in place by anything but ``deleted`` and ``left``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.chaos.scene import CHANNELS, Filter

__all__ = ["Delivery", "Frame", "Life", "Memory", "Watched", "micros"]

Frame = dict[str, Any]
Key = tuple[str, ...]


def micros(stamp: str) -> int:
    """A timestamp of the wire in microseconds since 1970."""
    moment = datetime.fromisoformat(stamp)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event that the application saw."""

    id: int
    at: int
    action: str
    key: Key


@dataclass
class Life:
    """From one forgetting to the next. ``whole``: every row is known; else rows may be missing, or come late.

    ``disorder``: (Unix time, what) of each event that cannot have come after what was known of its row.
    """

    why: str
    whole: bool
    seen: list[Delivery] = field(default_factory=list)
    disorder: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class Watched:
    """One channel of one client."""

    name: str
    filter: Filter | None
    lives: list[Life] = field(default_factory=lambda: [Life("from the beginning", whole=True)])
    rows: dict[Key, Frame] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    #: Of ``ids``, what has to come again because the channel was resumed from before it.
    owed: set[int] = field(default_factory=set)

    @property
    def life(self) -> Life:
        """The present one."""
        return self.lives[-1]

    def forget(self, why: str) -> None:
        """Begin again with nothing. Until a snapshot comes not all rows are known."""
        self.lives.append(Life(why, whole=False))
        self.rows.clear()
        self.ids.clear()
        self.owed.clear()


class Memory:
    """One client. ``faults`` is what it was told that it should not have been."""

    def __init__(self, channels: dict[str, Filter | None]) -> None:
        self.channels = {name: Watched(name, filter) for name, filter in channels.items()}
        self.cursor: str | None = None
        self.views: dict[str, str] = {}
        self.faults: list[str] = []
        self.resyncs: dict[str, int] = {}
        self.repeated = 0
        #: (as_of in microseconds, number of events of each channel's present life seen by then), in order of arrival.
        self.checkpoints: list[tuple[int, dict[str, tuple[int, int]]]] = []
        self._subscribed: dict[str, str] = {}
        self._checkpointed: Frame | None = None

    def forget(self) -> None:
        """As after a reload of the page."""
        self.cursor = self._checkpointed = None
        self.views = {}
        self._subscribed = {}
        for watched in self.channels.values():
            watched.forget("forgot everything")

    def connected(self) -> None:
        """A new connection: what was subscribed to on the last one counts only as far as a checkpoint said so."""
        self._subscribed = {}

    def feed(self, frame: Frame) -> None:
        """Take in one message."""
        match frame["type"]:
            case "row_change":
                self._event(self.channels[frame["channel"]], frame)
            case "checkpoint":
                self._checkpoint(frame)
            case "subscribed":
                for name, given in frame["channels"].items():
                    if given["resumed"]:
                        self.channels[name].owed = set(self.channels[name].ids)
                    else:
                        self.views.pop(name, None)
                self._subscribed |= {name: given["view"] for name, given in frame["channels"].items()}
            case "resync":
                for name in frame["channels"]:
                    self.views.pop(name, None)
                    self.channels[name].forget(f"resync: {frame['reason']}")
                self.resyncs[frame["reason"]] = self.resyncs.get(frame["reason"], 0) + 1
            case "snapshot":
                self._snapshot(self.channels[frame["channel"]], frame)
            case "welcome" | "capture_status" | "goodbye" | "pong":
                pass
            case _:
                self.faults.append(f"unexpected: {frame}")

    def _checkpoint(self, frame: Frame) -> None:
        if frame != self._checkpointed:
            for watched in self.channels.values():
                if watched.owed:
                    self.faults.append(f"{watched.name}: a replay did not repeat {sorted(watched.owed)[:5]}")
                    watched.owed.clear()
                watched.ids.clear()
            self._checkpointed = frame
            self.cursor = frame["cursor"]
            self.views = dict(self._subscribed)
        told = {name: (len(each.lives), len(each.life.seen)) for name, each in self.channels.items()}
        self.checkpoints.append((micros(frame["as_of"]), told))

    def _snapshot(self, watched: Watched, frame: Frame) -> None:
        watched.rows = {self._key(watched, row): row for row in frame["rows"]}
        watched.life.whole = not frame["truncated"]

    def _event(self, watched: Watched, frame: Frame) -> None:
        id = int(frame["id"])
        watched.owed.discard(id)
        if id in watched.ids:
            self.repeated += 1
            return
        watched.ids.add(id)
        action, row = frame["data"]["action"], frame["data"]["row"]
        key = self._key(watched, row)
        watched.life.seen.append(Delivery(id, micros(frame["timestamp"]), action, key))
        wrong = self._out_of_order(watched, key, frame)
        if wrong:
            told = f"{key} {wrong}; had {watched.rows.get(key)}, got {frame}"
            watched.life.disorder.append((time.time(), told))
        if action == "deleted" or frame.get("membership") == "left":
            watched.rows.pop(key, None)
        else:
            watched.rows[key] = row

    @staticmethod
    def _key(watched: Watched, row: Frame) -> Key:
        return tuple(str(row[name]) for name in CHANNELS[watched.name].key)

    @staticmethod
    def _out_of_order(watched: Watched, key: Key, frame: Frame) -> str | None:
        """What is wrong with this event, coming after what is known of its row."""
        action, row = frame["data"]["action"], frame["data"]["row"]
        had = watched.rows.get(key)
        if not watched.life.whole and had is None:
            return None
        if action == "created":
            return "created twice" if had is not None else None
        if frame.get("membership") == "entered":
            return "entered twice" if had is not None else None
        if had is None:
            return "changed before it was created"
        if action == "deleted" or "version" not in row:
            return None
        missing = int(row["version"]) - int(had["version"]) - 1
        if missing:
            return f"version {had['version']} is followed by {row['version']}"
        return None
