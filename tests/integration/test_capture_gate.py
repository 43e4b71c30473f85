"""Quiet NOTIFY: every dangerous interleaving of writers and a relay that falls asleep, each forced."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from relay.capture.batch import Batch
from tests.support.capture import Watcher, capturing, make_table
from tests.support.database import Database
from tests.support.waiting import eventually

A = "public.a"
#: Sleeps soon, and looks around by itself so seldom that no test can pass for that reason.
SLEEPY: Mapping[str, Any] = {"idle_after_ms": 20, "safety_poll_seconds": 600}
WATCHFUL: Mapping[str, Any] = {"idle_after_ms": 20, "safety_poll_seconds": 0.2}


async def gate_locks(database: Database) -> list[tuple[str, bool]]:
    """Mode and grant of every lock on K, waiting ones included."""
    return await database.execute(
        "SELECT mode, granted FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (classid::bigint << 32 | objid::bigint) = relay.gate_key() ORDER BY 1, 2"
    )


async def exclusive_locks(database: Database) -> list[bool]:
    """For each relay that holds K or waits for it, whether it holds it."""
    return [granted for mode, granted in await gate_locks(database) if mode == "ExclusiveLock"]


async def end_session(database: Database, role: str) -> None:
    """End the server process of one of the relay's sessions."""
    ended = await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = %s",
        f"relay {role}",
    )
    assert ended


@contextlib.asynccontextmanager
async def before_a_request(seen: Watcher, database: Database) -> AsyncIterator[None]:
    """In this block the relay is about to request K and has not done so; it has been woken once by now."""
    async with seen.stage.hold("requested") as reached:
        # It may have fallen asleep before anybody could hold it.
        await database.execute("""SELECT pg_notify('relay', '{"v":1,"kind":"wake"}')""")
        await eventually(lambda: seen.capture.stats.wakes)
        await eventually(reached.is_set)
        yield


def healthy(seen: Watcher) -> None:
    """Nothing was found that no notification announced, and nothing came twice."""
    assert seen.capture.stats.unannounced_events == 0
    assert len(seen.ids) == len(set(seen.ids))


async def test_a_sleeping_relay_is_woken(database: Database) -> None:
    """A sleeping relay polls nothing; a commit wakes it, and it gives K back so that further writers stay quiet."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture={**SLEEPY, "idle_after_ms": 300}) as seen:
        await seen.asleep()
        assert await exclusive_locks(database) == [True]
        polls = seen.capture.stats.polls
        await database.execute("SELECT pg_sleep(0.2)")
        assert seen.capture.stats.polls == polls
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await eventually(lambda: seen.values(A) == ["x"])
        await eventually(lambda: seen.stage.passed["released"] == 1)
        wakes = seen.capture.stats.wakes
        for _ in range(20):
            await database.execute("INSERT INTO a (v) VALUES ('y')")
        await seen.caught_up(database)
        assert (wakes, seen.capture.stats.wakes) == (1, 1)
        healthy(seen)


async def test_the_news_goes_out_before_the_gate_is_given_back(database: Database) -> None:
    """What woke the relay is published before it asks for K to be given back, which would compete with the poll."""
    await make_table(database, "a")
    states: list[str] = []

    def note(batch: Batch) -> None:
        if batch.changes:
            states.append(seen.state)

    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        seen.on_batch = note
        await seen.asleep()
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await eventually(lambda: seen.stage.passed["released"] == 1)
        assert states == ["asleep"]
        healthy(seen)


async def test_a_writer_who_has_k_keeps_the_relay_from_sleeping(database: Database) -> None:
    """Who shared K before the request wrote without a notification; the relay sleeps only after it has ended."""
    await make_table(database, "a")
    writer = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        async with before_a_request(seen, database):
            await writer.execute("INSERT INTO a (v) VALUES ('quiet')")
        seen.stage.states.clear()
        requests = seen.stage.passed["requested"]
        await eventually(lambda: seen.stage.passed["requested"] > requests + 2)
        assert "asleep" not in seen.stage.states
        await writer.commit()
        await eventually(lambda: seen.values(A) == ["quiet"])
        await seen.asleep()
        assert seen.capture.stats.wakes == 1
        healthy(seen)


async def test_a_writer_after_the_request_notifies(database: Database) -> None:
    """While a request waits new writers notify: one that began after it and commits before the grant."""
    await make_table(database, "a")
    old = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        async with before_a_request(seen, database):
            await old.execute("INSERT INTO a (v) VALUES ('old')")
        await eventually(lambda: waiting(database))
        await database.execute("INSERT INTO a (v) VALUES ('new')")
        await eventually(lambda: seen.values(A) == ["new"])
        await eventually(lambda: seen.capture.stats.wakes == 2)
        await old.commit()
        await eventually(lambda: seen.values(A) == ["new", "old"])
        healthy(seen)


async def waiting(database: Database) -> bool:
    """Whether a request for K waits."""
    return False in await exclusive_locks(database)


async def test_a_quiet_commit_just_before_the_grant_is_seen_by_the_poll_after_it(database: Database) -> None:
    """The commit that makes the grant possible was not announced; the poll after the grant brings it."""
    await make_table(database, "a")
    writer = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        async with before_a_request(seen, database):
            await writer.execute("INSERT INTO a (v) VALUES ('quiet')")
        await eventually(lambda: waiting(database))
        # No poll is under way from here until the lock is granted: only one that begins later can bring the row.
        async with seen.stage.hold("polling") as polling, seen.stage.hold("granted") as granted:
            await eventually(polling.is_set)
            await writer.commit()
            await eventually(granted.is_set)
        await eventually(lambda: seen.values(A) == ["quiet"])
        assert seen.capture.stats.wakes == 1
        healthy(seen)


async def test_a_poll_that_began_before_the_grant_does_not_count(database: Database) -> None:
    """A poll that was under way when the lock was granted proves nothing: one more comes before sleep."""
    await make_table(database, "a")
    writer = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        async with before_a_request(seen, database):
            await writer.execute("INSERT INTO a (v) VALUES ('quiet')")
        await eventually(lambda: waiting(database))
        async with seen.stage.hold("polled") as polled:
            # This poll has returned without the row, and is only looked at after the grant.
            await eventually(polled.is_set)
            await writer.commit()
            await eventually(lambda: seen.stage.passed["granted"])
        await eventually(lambda: seen.values(A) == ["quiet"])
        assert seen.capture.stats.wakes == 1
        await seen.asleep()
        healthy(seen)


async def test_a_commit_between_the_last_poll_and_sleep_wakes_it(database: Database) -> None:
    """Who commits after the last poll, before the relay sleeps, has notified: the relay does not sleep on."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        async with seen.stage.hold("asleep") as falling:
            await database.execute("""SELECT pg_notify('relay', '{"v":1,"kind":"wake"}')""")
            await eventually(falling.is_set)
            await database.execute("INSERT INTO a (v) VALUES ('x')")
        await eventually(lambda: seen.values(A) == ["x"])
        healthy(seen)


async def test_losing_the_gate_session_wakes_the_relay(database: Database) -> None:
    """When the gate session ends writers go quiet; the relay wakes at once, reads what they wrote, sleeps again."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        for number in range(3):
            await seen.asleep()
            # Held before it asks again, so that nothing but the loss itself can be what woke it.
            async with seen.stage.hold("requested"):
                async with seen.stage.hold("polling"):
                    await end_session(database, "gate")
                    await eventually(lambda: not_held(database))
                    await database.execute("INSERT INTO a (v) VALUES (%s)", str(number))
                await seen.sees(A, str(number))
        await seen.asleep()
        assert seen.capture.stats.gate_losses == 3
        assert (seen.capture.stats.wakes, seen.capture.stats.reconnects) == (0, 0)
        healthy(seen)


async def test_without_a_gate_session_it_stays_awake(database: Database) -> None:
    """While no gate session can be had the relay polls; once there is one again it sleeps."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        await seen.asleep()
        await database.execute("ALTER ROLE relay_daemon CONNECTION LIMIT 2")
        try:
            await end_session(database, "gate")
            await eventually(lambda: seen.state == "awake")
            polls = seen.capture.stats.polls
            await eventually(lambda: seen.capture.stats.polls > polls + 10)
            await database.execute("INSERT INTO a (v) VALUES ('x')")
            await seen.sees(A, "x")
            assert seen.stage.states.count("drowsy") == 1
        finally:
            await database.execute("ALTER ROLE relay_daemon CONNECTION LIMIT -1")
        await seen.asleep()
        assert seen.capture.stats.reconnects == 0
        healthy(seen)


async def not_held(database: Database) -> bool:
    """Whether nobody holds K."""
    return not await exclusive_locks(database)


async def test_losing_the_listen_session_is_a_reconnect(database: Database) -> None:
    """Without the LISTEN session nothing would be heard: the relay connects anew and reads what came meanwhile."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        for number in range(3):
            await seen.asleep()
            await end_session(database, "listen")
            await database.execute("INSERT INTO a (v) VALUES (%s)", str(number))
            await seen.sees(A, str(number))
        assert seen.capture.stats.reconnects == 3
        assert seen.gaps == []
        healthy(seen)


async def test_the_gate_session_may_not_be_idle_for_long(database: Database) -> None:
    """Postgres ends a gate session that says nothing for five seconds, so that a frozen relay loses K."""
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
        await seen.asleep()
        gate = seen.capture._periods._gate
        assert gate is not None
        assert await gate._session.value("SELECT current_setting('idle_session_timeout')") == "5s"
