"""Tables that are fed by logical replication, and sessions that pass for replication."""

from tests.sql.helpers import apply_files, events, refused, watch
from tests.support.database import Database, new_database
from tests.support.server import private_server
from tests.support.waiting import eventually


async def test_a_table_fed_by_logical_replication_needs_triggers_that_always_fire() -> None:
    """watch refuses such a table, and with always => true captures what is replicated and what is written here."""
    with private_server({"wal_level": "logical"}) as server:
        async with new_database(server) as publisher, new_database(server) as subscriber:
            await publisher.execute(
                "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE PUBLICATION p FOR TABLE t"
            )
            # On one server CREATE SUBSCRIPTION would wait for its own transaction to create the slot.
            await publisher.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
            await subscriber.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
            await apply_files(subscriber)
            await watch(subscriber, "t", ["v"])
            await subscriber.execute(
                f"CREATE SUBSCRIPTION s CONNECTION '{publisher.dsn}' PUBLICATION p"
                " WITH (create_slot = false, copy_data = false)"
            )
            try:
                ((drift,),) = await subscriber.execute("SELECT drift FROM relay.watched")
                assert "fed by logical replication" in drift
                await refused(
                    subscriber,
                    "SELECT relay.watch('t', '{v}')",
                    message="subscription s",
                    hint="always => true",
                )
                assert await watch(subscriber, "t", ["v"], always=True) == "changed"
                assert await subscriber.execute("SELECT drift, always FROM relay.watched") == [(None, True)]
                await publisher.execute("INSERT INTO t VALUES (1, 1)")
                await publisher.execute("UPDATE t SET v = 2")
                await eventually(lambda: subscriber.execute("SELECT FROM t WHERE v = 2"))
                await subscriber.execute("INSERT INTO t VALUES (2, 2)")
                assert [(event.op, event.new) for event in await events(subscriber)] == [
                    ("insert", {"id": 1, "v": 1}),
                    ("update", {"id": 1, "v": 2}),
                    ("insert", {"id": 2, "v": 2}),
                ]
            finally:
                await subscriber.execute("ALTER SUBSCRIPTION s DISABLE")
                await subscriber.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
                await subscriber.execute("DROP SUBSCRIPTION s")


async def test_session_replication_role(relay_database: Database) -> None:
    """A session in role replica is captured only with always => true, as PostgreSQL defines it."""
    await watch(relay_database, columns=[])
    await relay_database.execute(
        "SET session_replication_role = replica; INSERT INTO payment (id) VALUES (1)"
    )
    assert await events(relay_database) == []
    assert await watch(relay_database, columns=[], always=True) == "changed"
    await relay_database.execute("INSERT INTO payment (id) VALUES (2)")
    await relay_database.execute("TRUNCATE payment")
    assert [(event.op, event.key) for event in await events(relay_database)] == [
        ("insert", {"id": 2}),
        ("truncate", None),
    ]
    await relay_database.execute("SET session_replication_role = origin")
    assert await watch(relay_database, columns=[]) == "changed"
