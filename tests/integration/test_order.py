"""Order of one row's changes, also where a trigger of the application turns it round."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import running_relay, settings_for


@pytest.mark.parametrize("coalesce", [True, False])
async def test_a_nested_update_of_the_same_statement_comes_second(database: Database, coalesce: bool) -> None:
    """A trigger that updates another row of the statement that fired it leaves clients with that row's last state."""
    user = await student(database)
    first, second = await pay(database, user, "1.00"), await pay(database, user, "2.00")
    await database.execute(
        f"""
        CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          UPDATE finances_purchasetransaction SET payment_status = 'completed' WHERE id = {second}; RETURN NULL; END $$;
        CREATE TRIGGER zz_settle AFTER UPDATE ON finances_purchasetransaction FOR EACH ROW
          WHEN (NEW.id = {first} AND NEW.payment_status = 'processing') EXECUTE FUNCTION settle()
        """
    )
    settings = settings_for(database.daemon_dsn)
    tree: dict[str, Any] = settings.channels["transactions"].model_dump()
    channels = {"transactions": tree | {"coalesce": coalesce}}
    settings = settings_for(database.daemon_dsn, channels=channels)
    async with running_relay(settings) as running, connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"])
        await client.take("checkpoint")
        await database.execute("UPDATE finances_purchasetransaction SET payment_status = 'processing'")
        await client.take(
            "checkpoint", where=lambda _: len(client.of("transaction_update")) >= (2 if coalesce else 3)
        )
        shown = [
            frame["data"]["transaction"]["status"]
            for frame in client.of("transaction_update")
            if frame["data"]["transaction"]["id"] == str(second)
        ]
        assert shown == (["succeeded"] if coalesce else ["processing", "succeeded"])
