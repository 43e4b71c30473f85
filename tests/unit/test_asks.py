"""Waiting for a poll: it has to begin after one asked."""

from __future__ import annotations

import asyncio

import pytest

from relay.capture.asks import Asks
from relay.errors import CaptureDegraded


async def turn() -> None:
    """Let every task that can go on do so."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_poll_under_way_does_not_do() -> None:
    """Who asks while a poll is under way waits for the next one."""
    asks = Asks()
    asks.open()
    async with asyncio.TaskGroup() as tasks:
        early = tasks.create_task(asks.ask(check=False))
        await turn()
        assert asks.bell.is_set()
        asks.begin()
        late = tasks.create_task(asks.ask(check=True))
        await turn()
        assert (asks.serving, asks.check) == (True, False)
        asks.done()
        await turn()
        assert early.done()
        assert not late.done()
        asks.begin()
        assert asks.check
        asks.done()
    assert not asks.any
    assert not asks.check


async def test_a_round_that_publishes_nothing_keeps_those_who_wait() -> None:
    """Two beginnings without an end in between serve the same people, with the same wish."""
    asks = Asks()
    asks.open()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(asks.ask(check=True))
        await turn()
        asks.begin()
        asks.begin()
        assert asks.check
        asks.done()
        await asking


async def test_without_a_connection_everybody_is_refused() -> None:
    """Who waits when the connection is lost is told, and so is who comes afterwards, until there is one again."""
    asks = Asks()
    with pytest.raises(CaptureDegraded):
        await asks.ask(check=False)
    asks.open()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(refused(asks)) for _ in range(2)]
        await turn()
        asks.begin()
        waiting.append(tasks.create_task(refused(asks)))
        await turn()
        asks.refuse(CaptureDegraded("gone"))
    assert [task.result() for task in waiting] == ["gone"] * 3
    assert await refused(asks) == "gone"
    asks.open()
    assert not asks.any


async def test_one_who_gives_up_harms_nobody() -> None:
    """A cancelled wait is passed over when the poll is done or refused."""
    asks = Asks()
    asks.open()
    async with asyncio.TaskGroup() as tasks:
        quitter = tasks.create_task(asks.ask(check=False))
        stayer = tasks.create_task(asks.ask(check=False))
        await turn()
        quitter.cancel()
        await turn()
        asks.begin()
        asks.done()
        await stayer


async def refused(asks: Asks) -> str:
    """What who asks is told."""
    with pytest.raises(CaptureDegraded) as why:
        await asks.ask(check=False)
    return str(why.value)
