"""Work on behalf of one connection stays with it, whatever it raises."""

from __future__ import annotations

import asyncio

from relay.gateway.tasks import Tasks


async def test_a_failure_goes_to_whoever_asked_for_the_work() -> None:
    """What a task raises is handed to its spawner; the group and its other tasks go on."""
    failures: list[Exception] = []
    done = asyncio.Event()

    async def fail() -> None:
        raise ValueError("of this connection")

    async def work() -> None:
        done.set()

    async with asyncio.TaskGroup() as group:
        tasks = Tasks(group)
        await asyncio.wait([tasks.spawn(fail(), failed=failures.append)])
        tasks.spawn(work(), failed=failures.append)
        await done.wait()
    assert [str(error) for error in failures] == ["of this connection"]


async def test_a_cancelled_task_is_no_failure() -> None:
    """A connection that ends cancels its work; nobody is told of a failure."""
    failures: list[Exception] = []
    never = asyncio.Event()

    async def wait() -> None:
        await never.wait()

    async with asyncio.TaskGroup() as group:
        task = Tasks(group).spawn(wait(), failed=failures.append)
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    assert failures == []
