"""The alarm clock: what wakes a sleeping relay, what does not, and how it finds out that the alarm does not work."""

from __future__ import annotations

from functools import partial

import pytest

from relay.capture import poller
from tests.integration.test_capture_gate import SLEEPY, WATCHFUL, A, exclusive_locks, healthy, not_held
from tests.support.capture import Watcher, capturing, make_table
from tests.support.database import Database
from tests.support.waiting import eventually


async def test_a_lost_unlock_is_found_by_looking_around(database: Database) -> None:
    """A sleeper regularly asks what a writer would ask; finding K free although it should hold it, it wakes."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=WATCHFUL) as seen:
        await seen.asleep()
        # The lock goes away under the relay without the session noticing anything.
        gate = seen.capture._periods._gate
        assert gate is not None
        await gate._session.fetch("SELECT pg_advisory_unlock(relay.gate_key())")
        await eventually(lambda: seen.capture.stats.gate_losses)
        await seen.asleep()
        await eventually(lambda: held(database))
        healthy(seen)


async def held(database: Database) -> bool:
    """Whether some relay holds K."""
    return True in await exclusive_locks(database)


async def test_what_nobody_announced_is_found_and_counted(database: Database) -> None:
    """A row that came without a notification is found by the safety poll, delivered, and counted as unannounced."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=WATCHFUL) as seen:
        await seen.asleep()
        await database.execute(
            """INSERT INTO relay.event (source, op, key, new) VALUES (%s, 'insert', '{"id": 1}', '{"v": "x"}')""",
            A,
        )
        await eventually(lambda: seen.values(A) == ["x"])
        await eventually(lambda: seen.capture.stats.unannounced_events == 1)


async def test_what_a_heartbeat_finds_before_its_notification_comes_is_announced(database: Database) -> None:
    """A row found by a poll in sleep is not counted as unannounced if its notification follows in time."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=WATCHFUL) as seen:
        for number in range(50):
            await seen.asleep()
            await database.execute("INSERT INTO a (v) VALUES (%s)", str(number))
            await seen.capture.poll_now()
        await database.execute("SELECT pg_sleep(2.1)")
        await seen.capture.poll_now()
        assert seen.values(A) == [str(number) for number in range(50)]
        healthy(seen)


async def test_heartbeats_do_not_end_sleep(database: Database) -> None:
    """A poll that was asked for and finds nothing leaves the relay asleep, with K held."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        await seen.asleep()
        for _ in range(5):
            await seen.capture.poll_now()
        assert seen.capture.stats.sleeps == 1
        assert seen.state == "asleep"
        assert await exclusive_locks(database) == [True]


async def test_without_the_alarm_it_polls(database: Database) -> None:
    """Where capture functions do not NOTIFY the relay never sleeps and never asks for K; changes come all the same."""
    await make_table(database, "a")
    await database.execute("UPDATE relay.state SET alarm = false")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        polls = seen.capture.stats.polls
        await eventually(lambda: seen.capture.stats.polls > polls + 10)
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await eventually(lambda: seen.values(A) == ["x"])
        assert seen.stage.states == ["awake"]
        assert seen.stage.passed["requested"] == 0


async def test_a_filling_notification_queue_keeps_it_awake(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit of queue usage, looked at with each heartbeat, a sleeper wakes and gives K back."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        await seen.asleep()
        monkeypatch.setattr(poller, "QUEUE_LIMIT", -1.0)
        await seen.capture.poll_now()
        await eventually(lambda: not_held(database))
        assert seen.state == "awake"
        monkeypatch.setattr(poller, "QUEUE_LIMIT", 0.25)
        await seen.asleep()


async def test_unreadable_payloads_are_wake_ups(database: Database) -> None:
    """Anything odd on the channel is counted and makes the relay look; it ends nothing."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        odd = (
            "",
            "{",
            "[]",
            '{"v":1}',
            '{"v":99,"kind":"wake"}',
            '{"v":1,"kind":"order"}',
            "\U0001f4a3",
            "x" * 7000,
        )
        for number, payload in enumerate(odd, 1):
            await seen.asleep()
            await database.execute("SELECT pg_notify('relay', %s)", payload)
            await eventually(partial(ignored, seen, number))
        await database.execute("SELECT pg_notify('other', 'x')")
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await eventually(lambda: seen.values(A) == ["x"])
        assert seen.capture.stats.reconnects == 0


def ignored(seen: Watcher, number: int) -> bool:
    """Whether so many payloads have been ignored."""
    return seen.capture.stats.bad_payloads == number


async def test_a_control_payload_is_a_hint(database: Database) -> None:
    """A revocation is heard while asleep, does not end sleep, and can be read."""
    hints = 0

    def hint() -> None:
        nonlocal hints
        hints += 1

    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        seen.capture.on_control = hint
        await seen.asleep()
        await database.execute("SELECT relay.revoke('42', 'laptop stolen')")
        await eventually(lambda: hints == 1)
        assert seen.state == "asleep"
        (revocation,) = await seen.capture.revocations()
        assert (revocation.subject, revocation.reason) == ("42", "laptop stolen")


async def test_a_deaf_relay_notices(database: Database) -> None:
    """A sleeper that does not hear its own notification within the deadline connects anew."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=WATCHFUL) as seen:
        await seen.asleep()
        listener = seen.capture._periods._listener
        assert listener is not None
        # Behind its back, as a pooler would by handing the server connection to somebody else.
        await listener._session.fetch("UNLISTEN relay")
        await eventually(lambda: seen.capture.stats.reconnects)
        await seen.asleep()
        assert "hear" in next(status.reason for status in seen.statuses if not status.ok)
