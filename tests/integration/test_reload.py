"""Settings that are read again: what changes at once, and that nothing does if something is wrong with them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.capture import schema
from relay.config import Settings
from relay.daemon import Daemon
from relay.errors import ConfigError
from relay.gateway.auth import mint
from tests.support.client import connected
from tests.support.database import Database
from tests.support.payments import move, pay, student
from tests.support.relay import ADMIN, RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

CHANNEL = "transactions"


class Reread:
    """What the next reload will find."""

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings | Exception = settings

    def __call__(self) -> Settings:
        if isinstance(self.settings, Exception):
            raise self.settings
        return self.settings


def with_fields(dsn: str, **fields: Any) -> Settings:
    """The usual settings with other ``fields`` of the transactions channel; None takes one away."""
    tree = settings_for(dsn).model_dump()
    tree["auth"]["secrets"] = [secret.get_secret_value() for secret in settings_for(dsn).auth.secrets]
    declared = tree["channels"][CHANNEL]["fields"]
    for name, field in fields.items():
        if field is None:
            del declared[name]
        else:
            declared[name] = field
    return Settings.model_validate(tree)


@pytest.fixture
async def reloadable(database: Database) -> Any:
    """A relay whose next settings can be chosen."""
    reread = Reread(settings_for(database.daemon_dsn))
    async with running_relay(settings_for(database.daemon_dsn), reread=reread) as running:
        yield running, reread


async def test_a_reload_changes_what_is_shown(
    database: Database, reloadable: tuple[RunningRelay, Reread]
) -> None:
    """After SIGHUP a channel with another mapping is resynced to its subscribers, under a new view."""
    running, reread = reloadable
    payment = await pay(database, await student(database))
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL, "disputes"], snapshot=10)
        view = (await client.take("subscribed"))["channels"][CHANNEL]["view"]
        await client.take("checkpoint")
        reread.settings = with_fields(database.daemon_dsn, transaction_type=None, kind={"constant": "sale"})
        await running.daemon.reload()
        taken = (await client.take("subscribed"))["channels"]
        assert list(taken) == [CHANNEL]
        assert taken[CHANNEL]["view"] != view
        assert (await client.take("resync"))["reason"] == "view_changed"
        (row,) = (await client.take("snapshot"))["rows"]
        assert row["kind"] == "sale"
        assert "transaction_type" not in row
        await move(database, payment, "failed")
        update = await client.take("transaction_update")
        assert update["data"]["transaction"]["kind"] == "sale"


@pytest.mark.parametrize("mistake", ["unreadable", "column", "table"])
async def test_a_reload_that_cannot_work_changes_nothing(
    database: Database, reloadable: tuple[RunningRelay, Reread], mistake: str
) -> None:
    """Settings that are wrong, or need what is not watched, are refused as a whole; clients notice nothing."""
    running, reread = reloadable
    bad: dict[str, Any] = {
        "unreadable": ConfigError("channels.transactions has an unknown key"),
        "column": with_fields(database.daemon_dsn, oops={"column": "no_such_column"}),
        "table": settings_for(
            database.daemon_dsn,
            channels={
                "users": {"table": "public.finances_receipt", "fields": {"id": {"column": "id"}}},
            },
        ),
    }
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL])
        await client.take("checkpoint")
        reread.settings = bad[mistake]
        await running.daemon.reload()
        await pay(database, await student(database))
        await client.take("transaction_update")
        assert client.of("resync", "unsubscribed") == []


async def test_a_reload_with_another_key_refuses_old_tokens(
    database: Database, reloadable: tuple[RunningRelay, Reread]
) -> None:
    """Keys change with a reload: new connections need the new key."""
    running, reread = reloadable
    old = running.token()
    new = settings_for(database.daemon_dsn, auth={"secrets": ["another-secret-of-more-than-32-bytes-here"]})
    reread.settings = Settings.model_validate(
        {
            **new.model_dump(),
            "auth": {
                **new.auth.model_dump(),
                "secrets": ["another-secret-of-more-than-32-bytes-here"],
            },
        }
    )
    await running.daemon.reload()
    async with connected(running.url, mint(new.auth, "ana", 60, ADMIN)) as client:
        await client.take("welcome")
    async with connected(running.url, old, origin=running.http) as client:
        assert await client.closed() == 4001


async def test_a_channel_that_was_taken_out_can_come_back(
    database: Database, reloadable: tuple[RunningRelay, Reread]
) -> None:
    """Tables that the relay followed from its start stay within reach of every later reload."""
    running, reread = reloadable
    whole = settings_for(database.daemon_dsn)
    whole = whole.model_copy(
        update={"policies": tuple(each for each in whole.policies if "*" in each.channels)}
    )
    fewer = {name: each for name, each in whole.channels.items() if name != "fraud_alerts"}
    reread.settings = whole.model_copy(update={"channels": fewer})
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["fraud_alerts"])
        await client.take("checkpoint")
        await running.daemon.reload()
        assert (await client.take("unsubscribed"))["reason"] == "removed"
        reread.settings = whole
        await running.daemon.reload()
        await client.send("subscribe", channels=["fraud_alerts"])
        await client.take("subscribed")


async def test_a_hang_up_reloads_and_a_mistake_of_ours_ends_nothing(
    database: Database, reloadable: tuple[RunningRelay, Reread]
) -> None:
    """Each SIGHUP has the settings read once more, also after one that failed in a way nobody foresaw."""
    running, reread = reloadable
    calls = 0

    def unforeseen() -> Settings:
        nonlocal calls
        calls += 1
        raise RuntimeError("a bug")

    running.daemon._reread = unforeseen
    running.daemon.hang_up()
    await eventually(lambda: calls == 1)
    running.daemon._reread = reread
    reread.settings = with_fields(database.daemon_dsn, kind={"constant": "sale"})
    running.daemon.hang_up()
    await eventually(lambda: "kind" in running.daemon.services.channels[CHANNEL].fields)


async def test_a_reload_keeps_off_the_session_that_polls(
    reloadable: tuple[RunningRelay, Reread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """New settings are compared with the database on the errand session: the other one may be in a transaction."""
    running, _ = reloadable
    roles: list[str] = []
    check, tables = schema.check, schema.tables

    async def checking(session: Any, *args: Any) -> None:
        roles.append(session.role)
        await check(session, *args)

    async def listing(session: Any, *args: Any) -> Any:
        roles.append(session.role)
        return await tables(session, *args)

    monkeypatch.setattr(schema, "check", checking)
    monkeypatch.setattr(schema, "tables", listing)
    await running.daemon.reload()
    assert roles == ["errand", "errand"]


async def test_a_stop_during_the_start_lets_nobody_in(database: Database) -> None:
    """A relay that is told to stop before it serves ends without ever listening, as after a drain."""
    daemon, stop, ready = Daemon(settings_for(database.daemon_dsn)), asyncio.Event(), asyncio.Event()
    stop.set()
    await daemon.run(ready=ready.set, stop=stop)
    assert not ready.is_set()
