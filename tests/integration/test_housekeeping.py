"""What a relay does beside serving: pruning, and reading revocations it was never told about."""

from __future__ import annotations

from tests.support.client import connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import running_relay, settings_for
from tests.support.waiting import eventually


async def test_old_events_go_by_themselves(database: Database) -> None:
    """A relay prunes what is older than it is told to keep, while it serves, and a client notices nothing."""
    user = await student(database)
    settings = settings_for(
        database.daemon_dsn,
        server={"heartbeat_seconds": 0.05},
        capture={"prune_every_seconds": 0.1, "prune_keep_hours": 1 / 3600, "backoff_max_seconds": 0.5},
    )
    async with running_relay(settings) as running, connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"])
        for _ in range(10):
            await pay(database, user)

        async def few_left() -> bool:
            ((left,),) = await database.execute("SELECT count(*) FROM relay.event")
            return int(left) <= 2

        await eventually(few_left)
        payment = await pay(database, user)
        await client.take(
            "transaction_update", where=lambda frame: frame["data"]["transaction"]["id"] == str(payment)
        )
        assert client.of("resync") == []


async def test_a_revocation_from_before_the_start_counts(database: Database) -> None:
    """Whoever was revoked while no relay ran is refused by the next one, by HTTP for a client without Origin."""
    settings = settings_for(database.daemon_dsn)
    async with running_relay(settings) as running:
        token = running.token(subject="mallory")
    await database.execute("SELECT relay.revoke('mallory', 'left')")
    async with (
        running_relay(settings) as running,
        connected(running.url, token, origin=running.http) as client,
    ):
        assert await client.closed() == 4003
