"""Which columns of which tables the channels need: what ``relay install`` watches and ``serve`` demands."""

from __future__ import annotations

from collections import defaultdict

from relay.config import ChannelSettings, Settings

__all__ = ["channel_needs", "needs"]


def channel_needs(channel: ChannelSettings) -> dict[str, frozenset[str]]:
    """``schema.table`` -> columns, for one channel's own table and those that its look-ups read.

    The columns of the own table are those of its fields and their conditions, its status, the order of its snapshots
    and the keys of its look-ups. Those of a look-up's tables are its ``reads``: they are watched so that a change there
    is noticed, and being watched is also what lets the daemon's role select them. Primary keys are not in the result,
    because the config does not know them; ``relay.watch`` always adds them.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    own = wanted[channel.table]
    own.update(field.column for field in channel.fields.values() if field.column)
    own.update(column for field in channel.fields.values() for column in field.only)
    own.update(filter(None, [channel.status, channel.order.partition(" ")[0]]))
    for look_up in channel.lookups.values():
        own.add(look_up.key)
        for table, columns in look_up.reads.items():
            wanted[table].update(columns)
    return {table: frozenset(columns) for table, columns in wanted.items()}


def needs(settings: Settings) -> dict[str, frozenset[str]]:
    """The same for all channels and aggregates together, in alphabetical order of tables."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for needed in (
        *map(channel_needs, settings.channels.values()),
        *(aggregate.columns for aggregate in settings.aggregates.values()),
    ):
        for table, columns in needed.items():
            wanted[table] |= columns
    return {table: frozenset(columns) for table, columns in sorted(wanted.items())}
