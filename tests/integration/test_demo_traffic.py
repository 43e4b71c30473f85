"""The demo's traffic on real tables."""

from collections import Counter
from pathlib import Path

from relay.demo.traffic import Traffic
from relay.resources import sql_directory
from tests.support.database import Database


def demo_sql(name: str) -> str:
    """The text of a file of sql/demo."""
    return Path(sql_directory(), "demo", name).read_text()


async def test_traffic_touches_every_table(bare_database: Database) -> None:
    """Within some hundred changes payments, webhooks, alerts with their links, and disputes have come up."""
    await bare_database.execute(demo_sql("payments.sql"))
    await bare_database.execute(demo_sql("seed.sql"))
    before = await counts(bare_database)
    traffic = Traffic(await bare_database.connect(), rate=5, seed=3)
    for _ in range(800):
        await traffic.step()
    assert traffic.changes == 800
    grown = await counts(bare_database) - before
    assert min(grown.values()) > 0
    assert set(grown) == set(before)
    statuses = await bare_database.execute(
        "SELECT DISTINCT payment_status FROM finances_purchasetransaction"
        " WHERE created_at > now() - interval '9 minutes'"
    )
    assert {"processing", "completed", "failed"} <= {status for (status,) in statuses}


async def test_the_sample_data_is_there_once(bare_database: Database) -> None:
    """Running the sample files twice changes nothing."""
    for name in ("payments.sql", "seed.sql"):
        await bare_database.execute(demo_sql(name))
    before = await counts(bare_database)
    for name in ("payments.sql", "seed.sql"):
        await bare_database.execute(demo_sql(name))
    assert await counts(bare_database) == before


async def counts(database: Database) -> Counter[str]:
    """How many rows each payment table has."""
    result = Counter[str]()
    for table in (
        "finances_purchasetransaction",
        "finances_webhookeventlog",
        "finances_paymentdispute",
        "finances_fraudalert",
        "finances_fraudalert_related_transactions",
    ):
        ((result[table],),) = await database.execute(f"SELECT count(*) FROM {table}")
    return result
