"""Whether this database can be read: whose outbox it is, which version, and how each table is captured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import psycopg

from relay.capture import queries
from relay.capture.cursor import Epoch
from relay.capture.install_plan import quote_name
from relay.capture.session import Session, fault
from relay.capture.snapshot import Snapshot
from relay.errors import DatabaseError, ForeignOutbox, MappingError, SchemaMismatch

__all__ = ["SCHEMA_VERSION", "Capturing", "Identity", "Table", "check", "fingerprints", "identify", "tables"]

#: The version of schema relay that this program works with.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """What a session is connected to. ``snapshot`` is the one this was read in."""

    epoch: Epoch
    alarm: bool
    horizon: Snapshot
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Capturing:
    """How one table is captured at the moment: ``fingerprint`` changes whenever events may have been missed.

    ``columns`` are the listed ones, ``mode`` is outbox or notify.
    """

    fingerprint: str
    whole: bool
    reason: str
    mode: str = "outbox"
    columns: tuple[str, ...] = ()


async def identify(session: Session) -> Identity:
    """Read the epoch. Raises SchemaMismatch, ForeignOutbox, or DatabaseError when the role may not read it."""
    try:
        rows = await session.fetch(queries.IDENTITY)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise SchemaMismatch(
            f"schema relay is not installed in database {session.connection.info.dbname}; run relay install --apply"
        ) from None
    except psycopg.errors.UndefinedColumn as error:
        raise _version(None) from error
    except psycopg.errors.InsufficientPrivilege as error:
        user = session.connection.info.user
        raise DatabaseError(
            f"role {user} may not read the outbox ({error.diag.message_primary});"
            f" run relay install --apply, or GRANT relay_reader TO {quote_name(user)}"
        ) from None
    except psycopg.Error as error:
        raise fault(error, "reading relay.state") from None
    if not rows:
        raise SchemaMismatch("relay.state is empty; run relay install --apply")
    (
        (system, database, timeline, install, own_system, own_database, version, alarm, *snapshots, settles),
    ) = rows
    if version != SCHEMA_VERSION:
        raise _version(version)
    if (own_system, own_database) != (system, database):
        raise ForeignOutbox(
            "the outbox was written by another server or database (restored or copied): its positions mean nothing"
            " here; run SELECT relay.reset(), which empties it"
        )
    if not settles:
        # Found out now, and not when the first payment comes whose writer did not wait for the disk.
        raise DatabaseError(
            f"role {session.connection.info.user} may not write to sequence relay.settled, or it is not there;"
            " run relay install --apply"
        )
    epoch = Epoch(int(system) % 2**64, database, int(timeline, 16), UUID(install))
    return Identity(epoch, alarm, *map(Snapshot.parse, snapshots))


def _version(found: int | None) -> SchemaMismatch:
    if found is not None and found > SCHEMA_VERSION:
        return SchemaMismatch(
            f"schema relay has version {found}, newer than this program's {SCHEMA_VERSION}; upgrade payment-relay"
        )
    has = "an unknown version" if found is None else f"version {found}"
    return SchemaMismatch(
        f"schema relay has {has}, this program needs {SCHEMA_VERSION}; run relay install --apply"
    )


async def fingerprints(session: Session) -> dict[str, Capturing]:
    """How every watched table is captured now, by source."""
    rows = await session.fetch(queries.FINGERPRINTS)
    return {
        source: Capturing(text, whole, reason or "", mode, tuple(columns))
        for source, whole, reason, text, mode, columns in rows
    }


@dataclass(frozen=True, slots=True)
class Table:
    """A live table: its columns with the names of their types, and its primary key."""

    types: Mapping[str, str]
    key: frozenset[str]


async def tables(session: Session, sources: Iterable[str]) -> dict[str, Table]:
    """The live tables among ``sources``. Raises DatabaseError."""
    types: dict[str, dict[str, str]] = {}
    keys: dict[str, set[str]] = {}
    try:
        rows = await session.fetch(queries.TABLE_COLUMNS, {"sources": sorted(sources)})
    except psycopg.Error as error:
        raise fault(error, "reading the columns of tables") from None
    for source, column, type_name, is_key in rows:
        types.setdefault(source, {})[column] = type_name
        if is_key:
            keys.setdefault(source, set()).add(column)
    return {source: Table(columns, frozenset(keys.get(source, ()))) for source, columns in types.items()}


async def check(session: Session, needs: Mapping[str, frozenset[str]], counted: Collection[str] = ()) -> None:
    """Compare the columns that the configuration ``needs``, by source, with what is there and what is watched.

    ``counted`` are sources of aggregates, of which no change may be missed. Raises MappingError for the first thing
    that is missing.
    """
    try:
        rows = await session.fetch(queries.WATCHED)
        live = {
            source: frozenset(columns) if columns is not None else None
            for source, columns in await session.fetch(queries.COLUMNS_OF, {"sources": sorted(needs)})
        }
    except psycopg.Error as error:
        raise fault(error, "comparing the configuration with relay.watched") from None
    watched = {row[0]: row for row in rows}
    for source in sorted(needs):
        columns = live.get(source)
        if columns is None:
            raise MappingError(f"table {source} does not exist; correct its name in the configuration")
        for column in sorted(needs[source] - columns):
            raise MappingError(f"table {source} has no column {column}; correct the configuration")
        if source not in watched:
            raise MappingError(f"table {source} is not watched; run relay install --apply")
        _, listed, mode, present, enabled, missing, _ = watched[source]
        if source in counted and mode != "outbox":
            raise MappingError(
                f"table {source} is watched in mode {mode}, whose changes may be lost, and an aggregate counts it; "
                f"run SELECT relay.watch('{source}', …, 'outbox'), or do not count it"
            )
        for column in sorted(needs[source] - set(listed)):
            raise MappingError(f"column {source}.{column} is not watched; run relay install --apply")
        if not present:
            raise MappingError(f"the triggers of table {source} are gone; run relay install --apply")
        if not enabled:
            raise MappingError(f"the triggers of table {source} are disabled; run relay install --apply")
        for column in sorted(set(missing or ()) & needs[source]):
            raise MappingError(
                f"column {source}.{column} is gone; correct the configuration and install again"
            )
