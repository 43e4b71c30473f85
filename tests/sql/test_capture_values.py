"""How values of every kind of type look in an image."""

import decimal
import json
from typing import Any

import pytest

from tests.sql.helpers import drift, events, watch
from tests.support.database import Database


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("boolean", "true", True),
        ("bigint", "9223372036854775807", 9223372036854775807),
        ("numeric", "'NaN'", "NaN"),
        ("numeric", "'-Infinity'", "-Infinity"),
        (
            "numeric",
            "123456789012345678901234567890.10",
            decimal.Decimal("123456789012345678901234567890.10"),
        ),
        ("float8", "0.1::float8 + 0.2::float8", decimal.Decimal("0.30000000000000004")),
        ("float8", "'NaN'", "NaN"),
        ("timestamptz", "'infinity'", "infinity"),
        ("timestamp", "'2024-02-29 12:00'", "2024-02-29T12:00:00"),
        ("date", "'-infinity'", "-infinity"),
        ("interval", "'1 day 02:00'", "1 day 02:00:00"),
        ("bytea", r"'\xdeadbeef'", "\\xdeadbeef"),
        ("uuid", "'6b0c3a1e-0000-4000-8000-000000000000'", "6b0c3a1e-0000-4000-8000-000000000000"),
        ("json", "'{\"a\": [1, null]}'", {"a": [1, None]}),
        ("jsonb", "'null'", None),
        ("int[]", "'{{1,2},{3,4}}'", [[1, 2], [3, 4]]),
        ("tstzrange", "'[2024-01-01 00:00+00,)'", '["2024-01-01 00:00:00+00",)'),
        ("inet", "'10.0.0.1'", "10.0.0.1"),
        ("mood", "'so so'", "so so"),
        ("mood[]", "'{\"so so\",NULL,ok}'", ["so so", None, "ok"]),
        ("mood[]", "'{}'", []),
        ("mood[]", "NULL", None),
        ("euro", "7.50", decimal.Decimal("7.50")),
        ("euro[]", "'{1.10}'", [decimal.Decimal("1.10")]),
        ("pair", "'(1,\"a b\")'", '(1,"a b")'),
        ("pair", "'(,)'", "(,)"),
        ("pair[]", r"""'{"(2,z)","(1,\"a b\")",NULL}'""", ["(2,z)", '(1,"a b")', None]),
        ("char(3)", "'a'", "a  "),
        ('"char"', "'x'", "x"),
    ],
)
async def test_values_of_every_kind(
    relay_database: Database, type_name: str, value: str, expected: Any
) -> None:
    """Each type has one form in an image: JSON's own where there is one, else the text it prints as."""
    await relay_database.execute(
        "CREATE TYPE mood AS ENUM ('ok', 'so so'); CREATE TYPE pair AS (a int, b text);"
        " CREATE DOMAIN euro AS numeric(10, 2) CHECK (VALUE >= 0);"
        f" CREATE TABLE t (id int PRIMARY KEY, v {type_name})"
    )
    await watch(relay_database, "t", ["v"])
    await relay_database.execute(
        # None of this may show in an image.
        "SET extra_float_digits = -15; SET bytea_output = 'escape'; SET IntervalStyle = 'iso_8601';"
        f" SET DateStyle = 'SQL, DMY'; SET TimeZone = 'UTC'; INSERT INTO t VALUES (1, {value})"
    )
    ((text,),) = await relay_database.execute("SELECT new::text FROM relay.event")
    image = json.loads(text, parse_float=decimal.Decimal)
    assert image == {"id": 1, "v": expected}
    assert await drift(relay_database, "public.t") is None


async def test_timestamps_name_their_zone(relay_database: Database) -> None:
    """A timestamptz is an instant with its offset, whatever the writer's time zone is."""
    await watch(relay_database, columns=["updated_at"])
    await relay_database.execute(
        "SET TimeZone = 'Asia/Kolkata'; INSERT INTO payment (updated_at) VALUES ('2024-01-01 00:00:00+00')"
    )
    assert (await events(relay_database))[0].new == {"id": 1, "updated_at": "2024-01-01T05:30:00+05:30"}


async def test_a_cast_that_somebody_defined_does_not_run(relay_database: Database) -> None:
    """A cast to json of a type of the application is never called: it would run with the rights of relay_owner."""
    await relay_database.execute(
        """CREATE TYPE mood AS ENUM ('ok');
           CREATE TABLE t (id int PRIMARY KEY, v mood, w mood[]);
           CREATE TABLE spoils (who text); GRANT ALL ON spoils TO PUBLIC;
           CREATE FUNCTION steal(mood) RETURNS json LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.spoils VALUES (current_user); RETURN '"stolen"'; END $$"""
    )
    await watch(relay_database, "t", ["v", "w"])
    await relay_database.execute("CREATE CAST (mood AS json) WITH FUNCTION steal(mood)")
    await relay_database.execute("INSERT INTO t VALUES (1, 'ok', '{ok}')")
    assert (await events(relay_database))[0].new == {"id": 1, "v": "ok", "w": ["ok"]}
    assert await relay_database.execute("SELECT * FROM spoils") == []


async def test_an_unlisted_value_is_never_converted(relay_database: Database) -> None:
    """A value of an unlisted column that has no JSON form, or takes long to convert, costs a payment nothing."""
    await relay_database.execute("CREATE TABLE t (id int PRIMARY KEY, v int, bad json, big text)")
    await watch(relay_database, "t", ["v"])
    await relay_database.execute(
        r"""INSERT INTO t VALUES (1, 1, '{"a": "\u0000"}', repeat('x', 50000000)); UPDATE t SET v = 2"""
    )
    assert [event.new for event in await events(relay_database)] == [{"id": 1, "v": 1}, {"id": 1, "v": 2}]


async def test_large_rows(relay_database: Database) -> None:
    """A row of megabytes is captured whole, and one beyond what jsonb holds with its key only."""
    await relay_database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    await watch(relay_database, "t", ["v"])
    await relay_database.execute(
        "INSERT INTO t SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 100000) n"
    )
    assert await relay_database.execute("SELECT length(new ->> 'v') FROM relay.event") == [(3200000,)]
    await relay_database.execute("INSERT INTO t VALUES (2, repeat('x', 268435456))")
    last = (await events(relay_database))[-1]
    assert (last.op, last.key, last.new) == ("insert", {"id": 2}, None)
    assert await drift(relay_database, "public.t") is not None
