"""What a configuration declares, held against the database as it is."""

from __future__ import annotations

from collections.abc import Mapping

from relay.capture.source import Capture
from relay.config import Settings
from relay.errors import MappingError
from relay.routing.aggregates.aggregate import Aggregate, compile_aggregates
from relay.routing.channel import Channel, compile_channels
from relay.routing.policies import Policies, compile_policies

__all__ = ["declared"]


async def declared(
    capture: Capture, settings: Settings, wanted: Mapping[str, frozenset[str]]
) -> tuple[dict[str, Channel], Policies, dict[str, Aggregate]]:
    """Channels, policies and aggregates. ``wanted`` are the columns they need, by table.

    Raises MappingError for the first thing that is not there or not watched, with the preset's name where it is from
    there; ConfigError, DatabaseError.
    """
    counted = frozenset(table for each in settings.aggregates.values() for table in each.columns)
    shown = frozenset(channel.table for channel in settings.channels.values())
    try:
        await capture.check(wanted, counted)
        tables = await capture.columns(shown | counted)
        types = {source: table.types for source, table in tables.items()}
        aggregates = compile_aggregates(settings.aggregates, types)
        keys = {source: table.key for source, table in tables.items()}
        channels = compile_channels(settings.channels, types, keys)
        policies = compile_policies(settings.policies, channels, settings.mask_key(), aggregates)
        await capture.check_look_ups(settings.channels)
    except MappingError as error:
        raise settings.blame(error) from None
    return channels, policies, aggregates
