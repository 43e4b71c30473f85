"""Snapshots are taken once for all who may share one, and never shared with who may not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from relay import jsontext
from relay.capture.rows import Rows, RowsQuery
from relay.capture.snapshot import Snapshot
from relay.errors import Overloaded
from relay.gateway.snapshots import SnapshotDesk
from relay.routing.event import Fault, PreparedRows
from tests.support.routing import channel, view

PAYMENTS = channel()
#: Matches every row below, and cannot be left to Postgres.
ANY = {"any_of": [{"status": {"is_null": True}}]}


class Database:
    """Gives ``images`` to every query, but not before ``gate`` is set."""

    def __init__(self, rows: int = 3) -> None:
        self.queries: list[RowsQuery] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.count = rows
        self.unreadable = 0

    async def rows(self, query: RowsQuery) -> Rows:
        """As capture does."""
        self.queries.append(query)
        self.asked.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        found = tuple({"id": number} for number in range(min(self.count, query.scan_limit)))
        return Rows(found, Snapshot.of(10), datetime.now(UTC), exhausted=self.count <= query.scan_limit)

    async def prepare_rows(self, channel: Any, images: Any) -> PreparedRows:
        """As the preparer does."""
        blank = dict.fromkeys(channel.fields)
        rows = tuple(blank | {"id": str(image["id"])} for image in images[self.unreadable :])
        return PreparedRows(rows, (Fault("payments", "", "field amount: no number"),) * self.unreadable)

    async def reverse(self, lookup: Any, values: Any) -> list[Any]:
        """As the preparer does."""
        return []


def desk(database: Database, hub: SimpleNamespace) -> SnapshotDesk:
    """A desk on that database."""
    return SnapshotDesk(database, database, hub, scan_limit=50)  # type: ignore[arg-type]


async def test_equal_views_share_one_reading() -> None:
    """Whoever asks for the same rows of the same view while others wait gets the same message."""
    database, hub = Database(), SimpleNamespace(turn=1)
    at = desk(database, hub)
    database.gate.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(at.page(view(PAYMENTS), 10))
        await database.asked.wait()
        others = [group.create_task(at.page(view(channel()), 10)) for _ in range(5)]
        await asyncio.sleep(0)
        database.gate.set()
    assert len(database.queries) == 1
    assert {id(task.result()) for task in others} == {id(first.result())}


async def test_a_reading_begun_before_a_hold_is_not_shared_with_it() -> None:
    """Who was put on hold after a batch that a running reading may not show gets a reading of their own."""
    database, hub = Database(), SimpleNamespace(turn=1)
    at = desk(database, hub)
    database.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(at.page(view(PAYMENTS), 10))
        await database.asked.wait()
        hub.turn = 2
        group.create_task(at.page(view(PAYMENTS), 10))
        await asyncio.sleep(0)
        database.gate.set()
    assert len(database.queries) == 2


async def test_other_views_and_sizes_are_other_readings() -> None:
    """A filter, a scope or a number of rows of its own is read on its own."""
    database, hub = Database(), SimpleNamespace(turn=1)
    at = desk(database, hub)
    async with asyncio.TaskGroup() as group:
        for wanted, rows in ((None, 10), ({"status": "failed"}, 10), (None, 20)):
            group.create_task(at.page(view(PAYMENTS, wanted), rows))
    assert len(database.queries) == 3


async def test_nothing_is_kept_for_later() -> None:
    """When the last who waited has been served the rows are forgotten; the next is served from the database."""
    database, hub = Database(), SimpleNamespace(turn=1)
    at = desk(database, hub)
    await at.page(view(PAYMENTS), 10)
    await at.page(view(PAYMENTS), 10)
    assert len(database.queries) == 2


async def test_a_failed_reading_fails_whoever_asked_and_the_next_one_reads_again() -> None:
    """A snapshot that could not be taken is not remembered."""
    database, hub = Database(), SimpleNamespace(turn=1)
    at = desk(database, hub)
    database.failure = Overloaded("a snapshot")
    with pytest.raises(Overloaded):
        await at.page(view(PAYMENTS), 10)
    database.failure = None
    assert (await at.page(view(PAYMENTS), 10)).snapshot == Snapshot.of(10)


@pytest.mark.parametrize(
    ("rows", "asked", "truncated"), [(3, 3, False), (3, 2, True), (60, 60, True), (50, 50, False)]
)
async def test_truncated_means_that_more_may_match(rows: int, asked: int, truncated: bool) -> None:
    """Fewer rows than match, or rows that were not looked at for lack of time, are marked."""
    database, hub = Database(rows), SimpleNamespace(turn=1)
    page = await desk(database, hub).page(view(PAYMENTS, ANY), asked)
    message = jsontext.decode(page.message)
    assert message["truncated"] is truncated
    assert len(message["rows"]) == min(rows, asked, 50)


async def test_rows_that_were_left_out_are_more_that_may_match() -> None:
    """A snapshot without the rows that could not be read does not pretend to be all there is."""
    database, hub = Database(3), SimpleNamespace(turn=1)
    database.unreadable = 1
    message = jsontext.decode((await desk(database, hub).page(view(PAYMENTS), 10)).message)
    assert [row["id"] for row in message["rows"]] == ["1", "2"]
    assert message["truncated"] is True
