"""Changes of a look-up's result that are told as updates of the rows it belongs to.

A fraud alert and the link to its payment are committed separately. When the link comes, the alert's own row does not
change, and yet everybody who shows it has to learn the amount. A look-up with ``announce`` says so: the rows of the
channel that it belongs to are read as they are now, and what changes about them is the look-up alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.capture.change import Change
from relay.routing.channel import Channel, Lookup
from relay.routing.coalesce import RowChange
from relay.routing.staleness import keys_touched, touches

__all__ = ["Announcement", "announcements"]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What ``change`` means for ``lookup``: its results for ``keys`` may be others now; None: any result may be."""

    lookup: Lookup
    change: Change
    keys: Sequence[str] | None

    def updates(self, channel: Channel, images: Iterable[Mapping[str, Any]]) -> list[RowChange]:
        """The updates of the channel's rows, whose ``images`` are those of today on both sides.

        One change may be news for several rows, and clients tell events apart by id, so each has the row's key in it.
        """
        told = []
        naming = [each.column for each in channel.fields.values() if each.name in channel.naming]
        columns = sorted(column for column in naming if column)  # a field "id" may be a constant or looked up
        for image in images:
            key = {column: image[column] for column in columns}
            suffix = ",".join(str(value) for value in key.values())
            serial = self.change.id
            told.append(
                RowChange(
                    f"{serial}.{suffix}",
                    serial,
                    self.change.xid,
                    self.change.at,
                    "update",
                    key,
                    dict(image),
                    dict(image),
                )
            )
        return sorted(told, key=lambda row: row.id)


def announcements(readers: Mapping[str, Sequence[Lookup]], changes: Iterable[Change]) -> list[Announcement]:
    """What ``changes`` have to be announced. ``readers``: by table, the look-ups that read it."""
    return [
        Announcement(lookup, change, keys_touched(lookup, change))
        for change in changes
        for lookup in readers.get(change.source, ())
        if lookup.announce and touches(lookup, change)
    ]
