"""Partitioned tables: one watch covers the partitions there are and those to come."""

import pytest

from tests.sql.helpers import Event, drift, events, refused, watch, whole
from tests.support.database import Database

TABLES = """
CREATE TABLE bill (region text, id int, amount int, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE bill_eu PARTITION OF bill FOR VALUES IN ('eu') PARTITION BY RANGE (id);
CREATE TABLE bill_eu_1 PARTITION OF bill_eu FOR VALUES FROM (0) TO (100);
CREATE TABLE bill_us PARTITION OF bill FOR VALUES IN ('us')
"""


@pytest.fixture
async def bills(relay_database: Database) -> Database:
    """A watched table with partitions on two levels."""
    await relay_database.execute(TABLES)
    await watch(relay_database, "bill", ["amount"])
    return relay_database


def row(region: str, number: int, amount: int) -> dict[str, object]:
    """A row as an image has it."""
    return {"region": region, "id": number, "amount": amount}


async def test_changes_of_partitions_are_changes_of_the_table(bills: Database) -> None:
    """Whichever partition is written, also directly, the source is the partitioned table."""
    await bills.execute("INSERT INTO bill VALUES ('eu', 1, 5), ('us', 2, 6)")
    await bills.execute("UPDATE bill_eu_1 SET amount = 7")
    await bills.execute("DELETE FROM bill_us")
    seen = await events(bills)
    assert {event.source for event in seen} == {"public.bill"}
    assert [(event.op, event.new) for event in seen] == [
        ("insert", row("eu", 1, 5)),
        ("insert", row("us", 2, 6)),
        ("update", row("eu", 1, 7)),
        ("delete", None),
    ]


async def test_a_row_that_moves_is_deleted_and_inserted(bills: Database) -> None:
    """An UPDATE that moves a row to another partition is a delete followed by an insert."""
    await bills.execute("INSERT INTO bill VALUES ('eu', 1, 5)")
    await bills.execute("UPDATE bill SET region = 'us'")
    assert (await events(bills))[1:] == [
        Event("delete", {"region": "eu", "id": 1}, None, row("eu", 1, 5), "public.bill"),
        Event("insert", {"region": "us", "id": 1}, row("us", 1, 5), None, "public.bill"),
    ]


@pytest.mark.parametrize("truncated", ["bill", "bill_eu", "bill_eu_1", "bill_us"])
async def test_truncate_of_any_part_is_seen(bills: Database, truncated: str) -> None:
    """TRUNCATE of the table or of any partition is at least one truncate event of the table."""
    await bills.execute(f"TRUNCATE {truncated}")
    assert {(event.op, event.source) for event in await events(bills)} == {("truncate", "public.bill")}


async def test_partitions_added_later_are_captured(bills: Database) -> None:
    """A new or attached partition is captured at once; its TRUNCATE trigger is missing until watched again, visibly."""
    await bills.execute("CREATE TABLE bill_uk PARTITION OF bill FOR VALUES IN ('uk')")
    await bills.execute(
        "CREATE TABLE bill_ch (LIKE bill INCLUDING ALL); ALTER TABLE bill ATTACH PARTITION bill_ch FOR VALUES IN ('ch')"
    )
    await bills.execute("INSERT INTO bill VALUES ('uk', 1, 1), ('ch', 1, 1)")
    assert len(await events(bills)) == 2
    assert 'trigger "!relay_truncate" is missing on bill_uk' in (await drift(bills, "public.bill") or "")
    assert not await whole(bills, "public.bill")
    assert await watch(bills, "bill", ["amount"]) == "changed"
    assert await drift(bills, "public.bill") is None
    await bills.execute("TRUNCATE bill_ch")
    assert (await events(bills))[-1].op == "truncate"


async def test_the_owner_adds_partitions_without_any_right_on_schema_relay(bills: Database) -> None:
    """A table owner who knows nothing of the relay can create, attach and detach partitions of a watched table."""
    role = f"owner_{bills.name}"
    await bills.execute(
        f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role};"
        f" ALTER TABLE bill OWNER TO {role}; ALTER TABLE bill_us OWNER TO {role}"
    )
    assert "may not execute" in (await drift(bills, "public.bill") or "")
    assert await watch(bills, "bill", ["amount"]) == "changed"
    assert await drift(bills, "public.bill") is None
    owner = await bills.connect()
    await owner.execute(f"SET ROLE {role}")
    await owner.execute(
        "CREATE TABLE bill_uk PARTITION OF bill FOR VALUES IN ('uk'); INSERT INTO bill VALUES ('uk', 1, 1)"
    )
    await owner.execute("ALTER TABLE bill DETACH PARTITION bill_uk")
    await owner.execute("ALTER TABLE bill ATTACH PARTITION bill_uk FOR VALUES IN ('uk')")
    assert len(await events(bills)) == 1


async def test_a_trigger_disabled_on_one_partition_is_seen_and_mended(bills: Database) -> None:
    """The triggers of every partition have to be enabled for capture to be whole."""
    await bills.execute('ALTER TABLE bill_eu_1 DISABLE TRIGGER "!relay_capture"')
    assert await drift(bills, "public.bill") == 'trigger "!relay_capture" is disabled on bill_eu_1'
    assert await watch(bills, "bill", ["amount"]) == "changed"
    await bills.execute("INSERT INTO bill VALUES ('eu', 1, 5)")
    assert len(await events(bills)) == 1


async def test_detaching_a_partition_changes_the_fingerprint(bills: Database) -> None:
    """Rows that leave with a partition leave no event, so the fingerprint tells; unwatch clears it too."""
    before = await bills.execute("SELECT fingerprint FROM relay.fingerprint()")
    await bills.execute("ALTER TABLE bill DETACH PARTITION bill_us")
    assert await bills.execute("SELECT fingerprint FROM relay.fingerprint()") != before
    await bills.execute("INSERT INTO bill_us VALUES ('us', 1, 1)")
    assert await events(bills) == []
    assert await bills.execute("SELECT relay.unwatch('bill')") == [(True,)]
    assert await bills.execute("SELECT tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '!relay%'") == []


async def test_a_partition_is_refused_by_naming_its_root(bills: Database) -> None:
    """Watching a partition, on whatever level, names the table to watch instead."""
    for partition in ("bill_eu", "bill_eu_1"):
        await refused(
            bills,
            "SELECT relay.watch(%s::regclass, '{amount}')",
            partition,
            message="is a partition",
            hint=r"Watch the partitioned table instead: public\.bill\.",
        )
