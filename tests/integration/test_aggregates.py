"""Aggregates of a running relay, as clients see them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.config import Settings
from relay.daemon import Daemon
from relay.demo.postgres import Postgres
from relay.errors import MappingError
from relay.messages.aggregates import AGGREGATE_MESSAGES
from tests.support.client import Client, connected
from tests.support.database import Database, create_database, install
from tests.support.payments import move, pay, student
from tests.support.proxy import TcpProxy
from tests.support.relay import OWNER, RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

METRICS, HEALTH = "metrics", "webhook_status"


async def whole(client: Client, channel: str = METRICS) -> dict[str, Any]:
    """The next complete message of an aggregate: its data."""
    frame = await client.take(
        "metrics_update", "webhook_status", where=lambda f: f["channel"] == channel and f["complete"]
    )
    AGGREGATE_MESSAGES[frame["type"]].model_validate({**frame, "data": _floats(frame["data"])})
    data: dict[str, Any] = frame["data"]
    return data


def _changes(frame: dict[str, Any]) -> bool:
    return bool(frame["data"].get("metrics") or frame["data"].get("changed"))


async def until(client: Client, name: str, value: Any) -> dict[str, Any]:
    """Read until the metric ``name`` has ``value``: the message that said so."""

    def says(frame: dict[str, Any]) -> bool:
        return bool(frame["data"]["metrics"].get(name) == value)

    return await client.take("metrics_update", where=says)


def _floats(value: Any) -> Any:
    """JSON as other decoders read it, which models are for: numbers with a fraction as floats."""
    if isinstance(value, dict):
        return {key: _floats(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_floats(each) for each in value]
    return value if isinstance(value, str | int | None) else float(value)


async def exact(running: RunningRelay) -> bool:
    """Whether both aggregates are what SQL says now."""
    found = [await running.daemon.counting.audit(name) for name in (METRICS, HEALTH)]
    return found == [[], []]


async def receive(database: Database, status: str, event: str, message: str = "") -> None:
    """One webhook that came a second ago and was answered now."""
    await database.execute(
        "INSERT INTO finances_webhookeventlog (stripe_event_id, event_type, status, payload, processed_at,"
        " error_message, retry_count, created_at, updated_at)"
        " VALUES (%s, 'x', %s, '{}', now(), %s, 0, now() - interval '1 second', now())",
        event,
        status,
        message,
    )


async def test_a_subscriber_gets_the_whole_and_then_what_changed(
    database: Database, running: RunningRelay
) -> None:
    """After subscribed comes everything; a payment brings the numbers it moved, whole trends and nothing else, as of a
    later moment; an unsubscribe ends it."""
    user = await student(database)
    payment = await pay(database, user, "12.50", "pending")
    async with connected(running.url, running.token()) as client:
        welcome = await client.take("welcome")
        assert {METRICS, HEALTH} <= set(welcome["channels"])
        await client.send("subscribe", channels=[METRICS], id=1)
        described = (await client.take("subscribed"))["channels"]
        assert described[METRICS].keys() == {"filter", "view", "resumed", "replayed"}
        first = await whole(client)
        assert first["metrics"]["pending_transactions"] == 1
        assert {len(series) for series in first["trend_data"].values()} == {24}
        await move(database, payment, "completed")
        frame = await client.take("metrics_update", where=_changes)
        assert frame["complete"] is False
        assert frame["as_of"] == frame["timestamp"] > client.of("metrics_update")[0]["as_of"]
        assert {name: str(value) for name, value in frame["data"]["metrics"].items()} == {
            "success_rate_24h": "100.00",
            "success_rate_7d": "100.00",
            "success_rate_30d": "100.00",
            "total_revenue_24h": "12.50",
            "total_revenue_7d": "12.50",
            "total_revenue_30d": "12.50",
            "average_transaction_value": "12.50",
            "pending_transactions": "0",
        }
        assert frame["data"]["trend_data"].keys() == {"revenue", "success_rate"}
        assert await exact(running)
        await client.send("unsubscribe", channels=[METRICS], id=2)
        assert (await client.take("unsubscribed"))["reason"] == "requested"
        told = len(client.of("metrics_update"))
        await client.send("subscribe", channels=["transactions"])
        await pay(database, user)
        await client.take("transaction_update")
        for _ in range(3):
            await client.take("checkpoint")
        assert len(client.of("metrics_update")) == told


async def test_the_health_of_an_endpoint(database: Database, running: RunningRelay) -> None:
    """Each message has the endpoint whole; failures, the last of everything and the mean time follow the log."""
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[HEALTH])
        assert (await whole(client, HEALTH))["webhook_status"]["is_healthy"] is True
        await receive(database, "processed", "e1")
        frame = await client.take("webhook_status", where=_changes)
        assert frame["data"]["changed"] == ["last_success", "response_time_avg"]
        assert frame["data"]["webhook_status"]["response_time_avg"] == 1000
        for number in range(5):
            await receive(database, "failed", f"f{number}", f"no {number}")
        sick = await client.take(
            "webhook_status", where=lambda f: not f["data"]["webhook_status"]["is_healthy"]
        )
        status = sick["data"]["webhook_status"]
        assert (status["failure_count_24h"], status["error_message_last"]) == (5, "no 4")
        await database.execute(
            "UPDATE finances_webhookeventlog SET status = 'processed' WHERE status = 'failed'"
        )
        well = await client.take("webhook_status", where=lambda f: f["data"]["webhook_status"]["is_healthy"])
        assert well["data"]["webhook_status"]["last_failure"] is None
        assert well["data"]["webhook_status"]["error_message_last"] is None
        assert await exact(running)


async def test_checkpoints_and_rows_do_not_wait_for_numbers(
    database: Database, running: RunningRelay
) -> None:
    """Rows and numbers share a connection: rows are resumed by cursor, numbers are simply shown whole again."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions", METRICS])
        views = {name: each["view"] for name, each in (await client.take("subscribed"))["channels"].items()}
        cursor = (await client.take("checkpoint"))["cursor"]
    await pay(database, user)
    await running.settle()
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions", METRICS], since=cursor, views=views)
        described = (await client.take("subscribed"))["channels"]
        assert (described["transactions"]["resumed"], described["transactions"]["replayed"]) == (True, 1)
        assert (described[METRICS]["resumed"], described[METRICS]["view"]) == (False, views[METRICS])
        await client.take("transaction_update")
        await client.take("checkpoint")
        await eventually(lambda: _heard(client, "metrics_update"))
        assert client.of("metrics_update")[0]["complete"]
        assert client.of("resync") == []


async def _heard(client: Client, type: str) -> bool:
    if not client.of(type):
        await client.read()
    return bool(client.of(type))


async def test_who_is_not_granted_numbers_does_not_know_of_them(running: RunningRelay) -> None:
    """To the owner of a school the aggregates do not exist: they are not in welcome and cannot be subscribed to."""
    async with connected(running.url, running.token(OWNER)) as client:
        assert not {METRICS, HEALTH} & set((await client.take("welcome"))["channels"])
        await client.send("subscribe", channels=[METRICS, "transactions"])
        error = await client.take("error")
        assert (error["code"], error["channel"]) == ("unknown_channel", METRICS)
        assert (await client.take("subscribed"))["channels"].keys() == {"transactions"}


async def test_an_aggregate_takes_no_filter(running: RunningRelay) -> None:
    """A filter on numbers is refused by name, and the other channels of the request proceed."""
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[METRICS, HEALTH], filters={METRICS: {"status": "failed"}})
        error = await client.take("error")
        assert (error["code"], error["channel"]) == ("filter_refused", METRICS)
        assert (await client.take("subscribed"))["channels"].keys() == {HEALTH}


async def test_the_start_does_not_wait_for_the_count(database: Database) -> None:
    """While a table cannot be counted clients are let in, other channels and aggregates are live, and the numbers of
    that table are said to be on their way."""
    user = await student(database)
    locker = await database.connect(autocommit=False)
    await locker.execute("LOCK finances_webhookeventlog IN ACCESS EXCLUSIVE MODE")
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        connected(running.url, running.token()) as client,
    ):
        await client.send("subscribe", channels=["transactions", METRICS, HEALTH])
        await client.take("subscribed")
        told = await client.take("recount", where=lambda f: f["channel"] == HEALTH)
        assert told["reason"] == "start"
        await whole(client)
        await pay(database, user)
        await client.take("transaction_update")
        await locker.execute(
            "INSERT INTO finances_webhookeventlog (stripe_event_id, event_type, status, payload, error_message,"
            " retry_count, created_at, updated_at) VALUES ('e', 'x', 'failed', '{}', '', 0, now(), now())"
        )
        assert client.of("webhook_status") == []
        await locker.commit()
        assert (await whole(client, HEALTH))["webhook_status"]["failure_count_24h"] == 1
        assert await exact(running)


async def test_a_restart_counts_what_was_written_in_between(database: Database) -> None:
    """A relay that begins again knows the payments that were written while none ran."""
    user = await student(database)
    for expected in (0, 1, 2):
        async with (
            running_relay(settings_for(database.daemon_dsn)) as running,
            connected(running.url, running.token()) as client,
        ):
            await client.send("subscribe", channels=[METRICS])
            assert (await whole(client))["metrics"]["total_transactions_24h"] == expected
        await pay(database, user)


async def test_truncate_is_counted_anew(database: Database, running: RunningRelay) -> None:
    """TRUNCATE of a counted table brings the whole anew; other aggregates go on."""
    for number in range(3):
        await receive(database, "failed", f"f{number}")
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[METRICS, HEALTH])
        assert (await whole(client, HEALTH))["webhook_status"]["failure_count_24h"] == 3
        await database.execute("TRUNCATE finances_webhookeventlog")
        assert (await whole(client, HEALTH))["webhook_status"]["failure_count_24h"] == 0
        rooms = running.daemon.services.aggregates
        assert rooms[METRICS].recounts == 0
        assert await exact(running)


async def test_a_trigger_that_was_off_is_noticed(database: Database, running: RunningRelay) -> None:
    """Writes while a trigger is disabled are missed by events and not by numbers: those are counted anew."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[METRICS])
        await whole(client)
        await database.execute("ALTER TABLE finances_purchasetransaction DISABLE TRIGGER USER")
        for _ in range(3):
            await pay(database, user)
        await database.execute("ALTER TABLE finances_purchasetransaction ENABLE TRIGGER USER")
        assert (await whole(client))["metrics"]["total_transactions_24h"] == 3
        assert await exact(running)


async def test_a_row_that_cannot_be_shown_still_counts(database: Database, running: RunningRelay) -> None:
    """A payment that is withheld from its channel, for its amount is no number, is one of the payments all the same."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions", METRICS])
        await client.take("checkpoint")
        await pay(database, user, "NaN", "completed")
        await client.take("withheld")
        await eventually(lambda: _transactions(running) == 1)
        assert await exact(running)


def _transactions(running: RunningRelay) -> int:
    values = running.daemon.services.aggregates[METRICS].values
    return -1 if values is None else int(values["metrics"]["total_transactions_24h"])


async def test_after_an_outage_the_numbers_are_right(own_postgres: Postgres) -> None:
    """While Postgres is away clients are told that the numbers are counted anew; then they have what was missed."""
    database = await create_database(own_postgres)
    await install(database)
    user = await student(database)
    async with TcpProxy("127.0.0.1", own_postgres.port) as proxy:
        dsn = database.daemon_dsn.replace(f":{own_postgres.port}/", f":{proxy.port}/")
        async with (
            running_relay(settings_for(dsn)) as running,
            connected(running.url, running.token()) as client,
        ):
            await client.send("subscribe", channels=[METRICS])
            await whole(client)
            await pay(database, user)
            await until(client, "total_transactions_24h", 1)
            await client.take("metrics_update", where=lambda f: not _changes(f))  # it is alive
            await proxy.cut()
            assert (await client.take("recount"))["reason"] == "reconnected"
            assert (await client.take("recount"))["reason"] == "reconnected"  # and still is
            for _ in range(3):
                await pay(database, user)
            own_postgres.crash()
            own_postgres.start_again()
            await database.close()
            await proxy.restore()
            assert (await whole(client))["metrics"]["total_transactions_24h"] == 4

            async def right() -> bool:
                return await exact(running)

            await eventually(right)


async def test_a_reload_replaces_what_an_aggregate_means(database: Database) -> None:
    """An aggregate with another definition is announced and shown whole, one that is gone is unsubscribed; a wrong one
    changes nothing."""
    user = await student(database)
    await pay(database, user, "12.50", "refunded")
    tree = settings_for(database.daemon_dsn).model_dump(mode="json")["aggregates"]
    changed = {
        METRICS: {**tree[METRICS], "transactions": {**tree[METRICS]["transactions"], "paid": ["refunded"]}}
    }
    wrong = {
        METRICS: {**tree[METRICS], "transactions": {**tree[METRICS]["transactions"], "amount": "metadata"}}
    }
    given: list[Settings] = []
    async with (
        running_relay(settings_for(database.daemon_dsn), reread=lambda: given[-1]) as running,
        connected(running.url, running.token()) as client,
    ):
        await client.send("subscribe", channels=[METRICS, HEALTH])
        view = (await client.take("subscribed"))["channels"][METRICS]["view"]
        assert (await whole(client))["metrics"]["total_revenue_24h"] == "0.00"
        given.append(settings_for(database.daemon_dsn, aggregates=wrong))
        await running.daemon.reload()
        # Laid over the demo's, so the other aggregate is still there until it is taken out.
        given.append(given[-1].model_copy(update={"aggregates": _only(changed)}))
        await running.daemon.reload()
        gone = await client.take("unsubscribed")
        assert (gone["channels"], gone["reason"]) == ([HEALTH], "removed")
        again = await client.take("subscribed")
        assert again["channels"][METRICS]["view"] != view
        assert (await whole(client))["metrics"]["total_revenue_24h"] == "12.50"
        assert len(client.of("subscribed")) == 2


def _only(aggregates: dict[str, Any]) -> Any:
    return Settings.model_validate({"database": {"dsn": "x"}, "aggregates": aggregates}).aggregates


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("nothing", "table public.finances_purchasetransaction has no column nothing"),
        ("stripe_customer_id", "is not watched; run relay install --apply"),
        ("metadata", 'aggregates.metrics.transactions.amount is column "metadata" of type jsonb'),
    ],
)
async def test_the_start_names_what_cannot_be_counted(database: Database, column: str, why: str) -> None:
    """A column that is missing, not watched, or no number stops the start with its name and the remedy."""
    tree = settings_for(database.daemon_dsn).model_dump(mode="json")["aggregates"]
    tree[METRICS]["transactions"]["amount"] = column
    with pytest.raises(MappingError, match=why):
        await Daemon(settings_for(database.daemon_dsn, aggregates=tree)).run()


async def test_a_table_whose_changes_may_be_lost_is_not_counted(database: Database) -> None:
    """A counted table in mode notify stops the start: numbers that are nearly right are wrong."""
    await database.execute(
        "SELECT relay.watch('public.finances_fraudalert', columns, 'notify') FROM relay.watched"
        " WHERE source = 'public.finances_fraudalert'"
    )
    with pytest.raises(
        MappingError, match="mode notify, whose changes may be lost, and an aggregate counts it"
    ):
        await Daemon(settings_for(database.daemon_dsn)).run()


async def test_old_dashboards_get_numbers_in_their_own_words(
    database: Database, running: RunningRelay
) -> None:
    """On the old path metrics come as type, data and timestamp, whole first; recount is not mentioned there."""
    user = await student(database)
    url = f"ws://127.0.0.1:{running.daemon.port}/ws/admin/payments/?token={running.token()}"
    async with connected(url) as client:
        await client.send(
            "subscribe", channels=["metrics", "transactions", "webhooks", "fraud_alerts", "disputes"]
        )
        first = await client.take("metrics_update")
        assert first.keys() == {"type", "data", "timestamp"}
        assert first["data"].keys() == {"metrics", "trend_data"}
        health = await client.take("webhook_status") if not client.of("webhook_status") else None
        assert (health or client.of("webhook_status")[0])["data"]["webhook_status"]["endpoint_url"]
        await pay(database, user)
        await client.take("metrics_update", where=lambda f: "total_transactions_24h" in f["data"]["metrics"])
        assert client.of("recount") == []


async def test_a_thousand_payments_are_a_few_messages(database: Database, running: RunningRelay) -> None:
    """A burst is told as its sum: far fewer messages than payments, and the last one has them all."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[METRICS])
        await whole(client)
        await asyncio.gather(
            *(
                database.execute(
                    "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status,"
                    " metadata, created_at, updated_at)"
                    " SELECT %s, 'package', 1, 'completed', '{}', now(), now() FROM generate_series(1, 50)",
                    user,
                )
                for _ in range(20)
            )
        )
        last = await until(client, "total_transactions_24h", 1000)
        assert last["data"]["metrics"]["total_revenue_24h"] == "1000.00"
        assert len(client.of("metrics_update")) < 50
