"""A relay over time: outages of the database, slow clients, tokens that change, policies that change, and the end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from relay.demo.postgres import Postgres
from tests.support.client import connected
from tests.support.database import Database, create_database, install
from tests.support.payments import pay, student
from tests.support.proxy import TcpProxy
from tests.support.relay import ADMIN, OWNER, RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

CHANNEL = "transactions"


async def test_an_outage_is_announced_and_nothing_of_it_is_lost(own_postgres: Postgres) -> None:
    """While Postgres is away clients stay connected, hear that capture is degraded and get the old checkpoint again;
    afterwards they get what was committed, without a resync."""
    database = await create_database(own_postgres)
    await install(database)
    user = await student(database)
    host, port = "127.0.0.1", own_postgres.port
    async with TcpProxy(host, port) as proxy:
        dsn = database.daemon_dsn.replace(f":{port}/", f":{proxy.port}/")
        async with (
            running_relay(settings_for(dsn)) as running,
            connected(running.url, running.token()) as client,
        ):
            await client.send("subscribe", channels=[CHANNEL])
            first = await pay(database, user)
            await client.take("transaction_update")
            before = await client.take("checkpoint")
            await proxy.cut()
            degraded = await client.take("capture_status")
            assert degraded["status"] == "degraded"
            assert degraded["reason"] == "the database cannot be read"
            missed = [await pay(database, user) for _ in range(3)]
            repeated = await client.take("checkpoint")
            again = await client.take("checkpoint")
            assert repeated["as_of"] == again["as_of"] >= before["as_of"]
            assert repeated["cursor"] == again["cursor"]
            await proxy.restore()
            assert (await client.take("capture_status"))["status"] == "ok"
            await eventually(lambda: _drain(client, "transaction_update", 4))
            assert [int(f["data"]["transaction"]["id"]) for f in client.of("transaction_update")] == [
                first,
                *missed,
            ]
            assert client.of("resync") == []
    await database.close()


async def _drain(client: Any, type: str, count: int) -> bool:
    """Whether ``count`` messages of ``type`` have come, reading what is there."""
    while len(client.of(type)) < count:
        await client.read()
    return True


def _narrow(port: int) -> socket.socket:
    """A connection whose receive buffer is small, or the kernel takes in megabytes for a client that does not read."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    narrow.connect(("127.0.0.1", port))
    return narrow


async def test_a_slow_client_is_let_go_and_nobody_else_notices(database: Database) -> None:
    """A client that does not read is told goodbye and closed with 1013; another one of the same group gets everything,
    and the slow one gets the rest when it comes back."""
    user = await student(database)
    settings = settings_for(
        database.daemon_dsn, limits={"buffer_bytes": 2 << 20}, capture={"chunk_rows": 100}
    )
    async with (
        running_relay(settings) as running,
        connected(running.url, running.token(subject="quick")) as quick,
        connected(running.url, running.token(subject="slow"), sock=_narrow(running.daemon.port)) as slow,
    ):
        for client in (quick, slow):
            await client.send("subscribe", channels=[CHANNEL])
            await client.take("checkpoint")
        kept = slow.of("checkpoint")[-1]["cursor"]
        views = {CHANNEL: slow.of("subscribed")[0]["channels"][CHANNEL]["view"]}
        slow.socket.transport.pause_reading()
        await database.execute(
            "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, metadata,"
            " created_at, updated_at) SELECT %s, 'package', 1, 'pending', jsonb_build_object('plan_name',"
            " repeat('x', 4000)), now(), now() FROM generate_series(1, 4000)",
            user,
        )
        await eventually(lambda: len(running.daemon.services.hub.subscribers) == 1)
        # Both at once: a client that goes on not reading is cut off, and then never learns why.
        async with asyncio.TaskGroup() as readers:
            readers.create_task(_drain(quick, "transaction_update", 4000))
            slow.socket.transport.resume_reading()
            assert await slow.closed() == 1013
        assert slow.frames[-1]["type"] == "goodbye"
        assert slow.frames[-1]["code"] == "too_slow"
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        connected(running.url, running.token(subject="slow")) as slow,
    ):
        await slow.send("subscribe", channels=[CHANNEL], since=kept, views=views)
        assert (await slow.take("subscribed"))["channels"][CHANNEL]["replayed"] == 4000
        await slow.take("checkpoint")
        assert len(slow.of("transaction_update")) == 4000


async def test_a_refresh_narrows_what_is_granted(database: Database, running: RunningRelay) -> None:
    """A fresh token of the same subject with fewer rights ends the channels it loses and resyncs those it narrows."""
    ours = await student(database, "ours@example.com", school=1)
    theirs = await student(database, "theirs@example.com", school=2)
    mine = await pay(database, ours)
    await pay(database, theirs)
    async with connected(running.url, running.token(ADMIN)) as client:
        await client.send("subscribe", channels=[CHANNEL, "webhooks"], snapshot=10)
        await client.take("checkpoint")
        await client.send("auth", token=running.token(OWNER))
        assert (await client.take("welcome"))["channels"] == ["disputes", CHANNEL]
        gone = await client.take("unsubscribed")
        assert (gone["channels"], gone["reason"]) == (["webhooks"], "not_granted")
        resync = await client.take("resync")
        assert (resync["channels"], resync["reason"]) == ([CHANNEL], "view_changed")
        assert [row["id"] for row in (await client.take("snapshot"))["rows"]] == [str(mine)]


async def test_a_revoked_person_is_out_within_the_moment(database: Database, running: RunningRelay) -> None:
    """relay.revoke ends the live connections of that subject with 4003 and refuses the token they came with."""
    token = running.token(subject="mallory")
    async with (
        connected(running.url, token) as mallory,
        connected(running.url, running.token(subject="ana")) as ana,
    ):
        await mallory.take("welcome")
        await ana.take("welcome")
        await database.execute("SELECT relay.revoke('mallory', 'left the company')")
        assert await mallory.closed() == 4003
        assert mallory.frames[-1]["code"] == "token_revoked"
        await ana.send("ping", id=1)
        await ana.take("pong")
    async with connected(running.url, token, origin=running.http) as again:
        assert await again.closed() == 4003


async def test_the_end_of_a_relay_is_a_restart_to_its_clients(database: Database) -> None:
    """A drained relay says goodbye with a pause to come back after, and closes with 1012."""
    async with running_relay(settings_for(database.daemon_dsn)) as running:
        token, url = running.token(), running.url
        async with connected(url, token) as client, asyncio.TaskGroup() as group:
            await client.take("welcome")
            group.create_task(running.daemon._gateway.drain())  # type: ignore[union-attr]
            assert await client.closed() == 1012
            goodbye = client.frames[-1]
            assert (goodbye["type"], goodbye["code"]) == ("goodbye", "restart")
            assert goodbye["retry_after_ms"] > 0
