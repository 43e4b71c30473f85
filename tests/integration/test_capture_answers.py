"""What clients ask of the database: rows, look-ups, in turn and within bounds."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from relay.capture.batch import Batch
from relay.capture.rows import RowsQuery, SqlCondition
from relay.errors import (
    CaptureDegraded,
    DatabaseError,
    FilterRefused,
    LookUpRefused,
    MappingError,
    Overloaded,
)
from tests.support.capture import Watcher, capturing, make_table
from tests.support.database import Database
from tests.support.waiting import eventually

A = "public.a"
PAY = "public.pay"


@pytest.fixture
async def pay(database: Database) -> Database:
    """A table with a column of every sort that conditions are pushed down for."""
    await database.execute(
        "CREATE TABLE pay (id bigint PRIMARY KEY, amount numeric(10,2), status text, code char(4), token uuid,"
        " at timestamptz, paid boolean, note varchar(9), raw json)"
    )
    await database.execute(
        """INSERT INTO pay SELECT n, n * 1.5, (ARRAY['paid', 'Paid', 'éa', 'failed'])[n % 4 + 1], 'c' || n,
             ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid,
             timestamptz '2026-01-01 00:00Z' + n * interval '1 hour',
             n % 2 = 0, nullif('n' || n, 'n3'), '{"z": "\\u0000", "n": 1.50}' FROM generate_series(1, 12) AS n"""
    )
    await database.execute("SELECT relay.watch('public.pay', ARRAY['id', 'amount', 'status'])")
    await database.execute("GRANT SELECT ON pay TO relay_reader")
    return database


async def ids(seen: Watcher, *conditions: tuple[Any, ...]) -> list[int]:
    """The ids of the rows that meet ``conditions``."""
    query = RowsQuery(PAY, ("id",), tuple(SqlCondition(*condition) for condition in conditions), "id")
    return [row["id"] for row in (await seen.capture.rows(query)).rows]


async def test_rows_meet_all_conditions(pay: Database) -> None:
    """Every operator compares in the column's own type; conditions are ANDed."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        assert await ids(seen, ("id", "eq", ("7",))) == [7]
        assert await ids(seen, ("id", "in", ("2", "10", "99"))) == [2, 10]
        assert await ids(seen, ("amount", "gte", ("15.0",)), ("amount", "lt", ("18",))) == [10, 11]
        assert await ids(seen, ("amount", "gt", ("16.495",))) == [11, 12]
        assert await ids(seen, ("status", "eq", ("éa",))) == [2, 6, 10]
        assert await ids(seen, ("status", "gt", ("paid",))) == [2, 6, 10]
        assert await ids(seen, ("status", "lte", ("Paid",))) == [1, 5, 9]
        assert await ids(seen, ("at", "lte", ("2026-01-01T02:00:00Z",))) == [1, 2]
        assert await ids(seen, ("paid", "eq", ("true",)), ("id", "lt", ("5",))) == [2, 4]
        assert await ids(seen, ("note", "is_null", ())) == [3]
        assert await ids(seen, ("note", "not_null", ()), ("id", "lte", ("4",))) == [1, 2, 4]
        assert await ids(seen, ("token", "eq", ("00000000-0000-0000-0000-000000000004",))) == [4]
        assert await ids(seen, ("code", "in", ("c1", "c2"))) == [1, 2]


async def test_values_are_never_part_of_the_statement(pay: Database) -> None:
    """Quotes, braces and percent signs in a value match nothing and break nothing."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        for value in ("' OR true --", '"', "{}", "\\", "%(limit)s", "a,b", "NULL", "\x00"):
            assert await ids(seen, ("status", "in", (value,))) == []
        assert await ids(seen, ("status", "eq", ("' OR true --",))) == []


async def test_a_value_that_is_none_is_refused(pay: Database) -> None:
    """A value that the column's type cannot hold refuses the filter without repeating it."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        with pytest.raises(FilterRefused) as refused:
            await ids(seen, ("amount", "gt", ("s3cret",)))
        assert "s3cret" not in str(refused.value)
        assert await ids(seen, ("id", "eq", ("1",))) == [1]


async def test_rows_look_like_captured_ones(pay: Database) -> None:
    """A row of a snapshot and the event of the same row hold equal values; numbers stay exact."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        await pay.execute("INSERT INTO pay (id, amount, status) VALUES (100, 150.00, 'new')")
        await seen.caught_up(pay)
        query = RowsQuery(PAY, ("id", "amount", "status"), (SqlCondition("id", "eq", ("100",)),))
        (row,) = (await seen.capture.rows(query)).rows
        assert row == seen.changes[-1].new == {"id": 100, "amount": Decimal("150.00"), "status": "new"}
        assert str(row["amount"]) == "150.00"


async def test_one_bad_json_value_does_not_fail_a_snapshot(pay: Database) -> None:
    """A json value that jsonb would refuse is still read."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        rows = await seen.capture.rows(RowsQuery(PAY, ("id", "raw"), order="id desc", limit=1, scan_limit=1))
        assert rows.rows[0]["raw"] == {"z": "\0", "n": Decimal("1.50")}


async def test_order_and_limit(pay: Database) -> None:
    """Rows come in the order asked for; ``exhausted`` says whether there are more."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        query = RowsQuery(
            PAY, ("id",), order="paid desc, note asc nulls first, id desc", limit=3, scan_limit=3
        )
        rows = await seen.capture.rows(query)
        assert ([row["id"] for row in rows.rows], rows.exhausted) == ([10, 12, 2], False)
        everything = await seen.capture.rows(RowsQuery(PAY, ("id",), limit=12, scan_limit=12))
        assert (len(everything.rows), everything.exhausted) == (12, True)


async def test_what_the_table_lacks_is_named(pay: Database) -> None:
    """An unknown table, column or order is a mapping error that names it."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        for query, word in (
            (RowsQuery("public.none", ("id",)), "public.none"),
            (RowsQuery(PAY, ("colour",)), "colour"),
            (RowsQuery(PAY, ("id",), (SqlCondition("hue", "eq", ("1",)),)), "hue"),
            (RowsQuery(PAY, ("id",), order="id; DROP TABLE pay"), "order"),
        ):
            with pytest.raises(MappingError, match=word):
                await seen.capture.rows(query)


async def test_a_snapshot_and_the_stream_meet_without_a_seam(pay: Database) -> None:
    """An event is visible in the rows' snapshot exactly if the rows show it."""
    writer = await pay.connect(autocommit=False)
    async with capturing(pay.daemon_dsn, PAY) as seen:
        await writer.execute("UPDATE pay SET status = 'open' WHERE id = 1")
        await pay.execute("UPDATE pay SET status = 'done' WHERE id = 2")
        rows = await seen.capture.rows(RowsQuery(PAY, ("id", "status"), order="id", limit=2, scan_limit=2))
        assert [row["status"] for row in rows.rows] == ["Paid", "done"]
        await writer.commit()
        await seen.caught_up(pay)
        visible = {change.key["id"]: rows.snapshot.sees(change.xid) for change in seen.changes if change.key}
        assert visible == {1: False, 2: True}
        await seen.capture.poll_now()
        position = seen.batches[-1].snapshot
        assert position is not None
        assert position.covers(rows.snapshot)


async def test_a_slow_snapshot_ends_by_its_timeout(pay: Database) -> None:
    """A snapshot that takes too long is given up with a hint to come back; the session serves the next one."""
    await pay.execute(
        "CREATE VIEW slow AS SELECT id, pg_sleep(30)::text AS v FROM pay; GRANT SELECT ON slow TO relay_reader"
    )
    async with capturing(pay.daemon_dsn, PAY, database={"snapshot_timeout_seconds": 0.2}) as seen:
        with pytest.raises(Overloaded):
            await seen.capture.rows(RowsQuery("public.slow", ("id", "v")))
        assert len(await ids(seen)) == 12
        assert seen.capture.stats.reconnects == 0


async def test_only_so_many_may_wait(pay: Database) -> None:
    """Errands are run one at a time; more callers than may wait are refused at once, the others are served."""
    async with capturing(pay.daemon_dsn, PAY, limits={"replays_waiting": 3}) as seen:
        outcomes = await asyncio.gather(*(ids(seen) for _ in range(10)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
        served = [outcome for outcome in outcomes if isinstance(outcome, list)]
        assert (len(served), len(refused)) == (4, 6)


async def test_a_caller_who_gives_up_leaves_a_working_session(pay: Database) -> None:
    """Cancelling a snapshot half-way costs the next caller nothing."""
    await pay.execute(
        "CREATE VIEW slow AS SELECT id, pg_sleep(30)::text AS v FROM pay; GRANT SELECT ON slow TO relay_reader"
    )
    async with capturing(pay.daemon_dsn, PAY) as seen:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await seen.capture.rows(RowsQuery("public.slow", ("id", "v")))
        assert len(await ids(seen)) == 12


LOOK_UP = "SELECT id, status, amount FROM pay WHERE id = ANY(%(keys)s) -- by key;"


async def test_look_ups_answer_by_key(pay: Database) -> None:
    """A look-up gives the other columns by the first one, for keys as captured rows have them: numbers or uuids."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        found = await seen.capture.look_up(LOOK_UP, [1, 2, 99])
        assert found == {
            1: {"status": "Paid", "amount": Decimal("1.50")},
            2: {"status": "éa", "amount": Decimal("3.00")},
        }
        token = "00000000-0000-0000-0000-000000000004"
        by_token = "SELECT token, id FROM pay WHERE token = ANY(%(keys)s);"
        assert await seen.capture.look_up(by_token, [token]) == {token: {"id": 4}}
        back = "SELECT id FROM pay WHERE status = ANY(%(values)s) ORDER BY 1"
        assert await seen.capture.look_up_reverse(back, ["éa"]) == [2, 6, 10]


async def test_look_ups_inside_the_sink_use_the_read_session(pay: Database) -> None:
    """While a batch is handed on nothing is polled, so its look-ups need no session of their own, several at once."""
    answers: list[Any] = []

    async def enrich(batch: Batch) -> None:
        if batch.changes:
            answers.extend(await asyncio.gather(*(seen.capture.look_up(LOOK_UP, [key]) for key in (1, 2, 3))))

    async with capturing(pay.daemon_dsn, PAY) as seen:
        seen.on_batch = enrich
        await pay.execute("UPDATE pay SET status = 'x' WHERE id = 1")
        await eventually(lambda: seen.changes)
        assert [set(answer) for answer in answers] == [{1}, {2}, {3}]
        rows = await pay.execute("SELECT FROM pg_stat_activity WHERE application_name = 'relay errand'")
        assert rows == []


async def test_a_task_the_sink_leaves_behind_does_not_disturb_the_polls(pay: Database) -> None:
    """A task that was begun inside the sink and looks something up later gets the errand session."""
    async with asyncio.TaskGroup() as tasks, capturing(pay.daemon_dsn, PAY) as seen:
        late: list[asyncio.Task[Any]] = []
        go = asyncio.Event()

        async def later() -> Any:
            await go.wait()
            return await seen.capture.look_up(LOOK_UP, [1])

        def leave_behind(batch: Batch) -> None:
            if batch.changes:
                late.append(tasks.create_task(later()))

        seen.on_batch = leave_behind
        await pay.execute("UPDATE pay SET status = 'x' WHERE id = 1")
        await eventually(lambda: late)
        await seen.capture.poll_now()
        go.set()
        assert set(await late[0]) == {1}
        assert "relay errand" in [
            name for (name,) in await pay.execute("SELECT application_name FROM pg_stat_activity")
        ]


async def test_a_look_up_that_fails_says_so(pay: Database) -> None:
    """A look-up on a column that is gone is an error of its own; it may not write; the session is fine afterwards."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        with pytest.raises(DatabaseError, match="look-up"):
            await seen.capture.look_up("SELECT id, colour FROM pay WHERE id = ANY(%(keys)s)", [1])
        await pay.execute("CREATE SEQUENCE counter; GRANT USAGE ON SEQUENCE counter TO relay_reader")
        with pytest.raises(DatabaseError, match="read-only"):
            await seen.capture.look_up("SELECT nextval('counter') WHERE 1 = ANY(%(keys)s)", [1])
        assert set(await seen.capture.look_up(LOOK_UP, [1])) == {1}


async def test_nobody_is_served_before_the_start(database: Database) -> None:
    """Asking a capture that does not run is told so, not left waiting."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        capture = seen.capture
    with pytest.raises(CaptureDegraded):
        await capture.poll_now()


async def test_a_database_that_lets_no_new_session_in_is_said_to_be_trouble(pay: Database) -> None:
    """What clients ask for is refused while the stream goes on, and the reason is there until a session can be had."""
    async with (
        capturing(pay.daemon_dsn, PAY) as seen,
        await psycopg.AsyncConnection.connect(pay.server.dsn(), autocommit=True) as admin,
    ):
        await admin.execute(f"ALTER DATABASE {pay.name} ALLOW_CONNECTIONS false")
        with pytest.raises(CaptureDegraded, match="not currently accepting connections"):
            await ids(seen)
        assert "not currently accepting connections" in seen.capture.trouble
        await pay.execute("UPDATE pay SET status = 'told' WHERE id = 1")
        await eventually(lambda: [change.new["status"] for change in seen.changes if change.new] == ["told"])
        await admin.execute(f"ALTER DATABASE {pay.name} ALLOW_CONNECTIONS true")
        assert len(await ids(seen)) == 12
        assert seen.capture.trouble == ""


async def test_pruning_goes_through_the_errand_session(database: Database) -> None:
    """The relay can prune with the rights it has; what is younger than the time to keep stays."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        assert await seen.capture.prune() == 0
        assert len(await database.execute("SELECT FROM relay.event")) == 1


async def test_a_look_up_that_gives_what_cannot_be_read_fails_alone(pay: Database) -> None:
    """A json value with half a character, a key that is a list, or a key of another type is an error of the look-up."""
    async with capturing(pay.daemon_dsn, PAY) as seen:
        for sql, keys in (
            ("SELECT id, '\"\\ud800\"'::json AS broken FROM pay WHERE id = ANY(%(keys)s)", [1]),
            (
                "SELECT id, (repeat('[', 600) || repeat(']', 600))::json AS deep FROM pay WHERE id = ANY(%(keys)s)",
                [1],
            ),
            (LOOK_UP, [1, "seven"]),
        ):
            with pytest.raises(LookUpRefused, match="a look-up"):
                await seen.capture.look_up(sql, keys)
        with pytest.raises(DatabaseError, match="the key, is a list"):
            await seen.capture.look_up("SELECT ARRAY[id], amount FROM pay WHERE id = ANY(%(keys)s)", [1])
        assert set(await seen.capture.look_up(LOOK_UP, [1])) == {1}


async def test_rows_look_as_the_triggers_captured_them(database: Database) -> None:
    """A value of a type of the application has one form in events and in snapshots: the text it prints as."""
    await database.execute(
        "CREATE TYPE mood AS ENUM ('ok', 'so so'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN twin AS pair;"
        " CREATE DOMAIN euro AS numeric(10, 2);"
        " CREATE TABLE odd (id int PRIMARY KEY, m mood, ms mood[], p pair, ps pair[], t twin, e euro, es euro[],"
        " none pair, nones pair[], empty pair[], span int4range, raw bytea, ratio float8)"
    )
    columns = ["m", "ms", "p", "ps", "t", "e", "es", "none", "nones", "empty", "span", "raw", "ratio"]
    await database.execute("SELECT relay.watch('public.odd', %s)", columns)
    await database.execute("GRANT USAGE ON TYPE mood, pair, twin, euro TO relay_reader")
    name = (await database.execute("SELECT current_database()"))[0][0]
    await database.execute(
        f'ALTER DATABASE "{name}" SET bytea_output = \'escape\'; ALTER DATABASE "{name}" SET extra_float_digits = -15'
    )
    async with capturing(database.daemon_dsn, "public.odd") as seen:
        await database.execute(
            "INSERT INTO odd VALUES (1, 'so so', '{ok,NULL}', '(1,\"a b\")', ARRAY[(2, 'z')::pair, NULL], '(3,c)', 1.5,"
            " '{2.5}', NULL, NULL, '{}', '[1,3)', '\\xdeadbeef', 0.1::float8 + 0.2::float8)"
        )
        await seen.caught_up(database)
        (row,) = (await seen.capture.rows(RowsQuery("public.odd", ("id", *columns)))).rows
        assert row == seen.changes[0].new
        assert row["ps"] == ["(2,z)", None]
