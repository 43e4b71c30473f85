"""Requests of one connection: in order, one at a time, and with one end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from relay.errors import CaptureDegraded, DatabaseError, Overloaded
from relay.gateway.tasks import Tasks
from relay.gateway.turns import WAITING, Turns


class Peer:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def goodbye(self, code: str, *, retry_after_ms: int | None = None) -> None:
        """As a connection is."""
        self.told.append((code, retry_after_ms))

    def fail(self, code: str, message: str | None = None) -> None:
        """As a connection is."""
        self.told.append(code)

    def settled(self) -> None:
        """As a connection is."""
        self.told.append("settled")


def step(
    then: Callable[[], None] = lambda: None, error: Exception | None = None
) -> Callable[[], Awaitable[None]]:
    """A step that lets others run first."""

    async def run() -> None:
        await asyncio.sleep(0)
        then()
        if error is not None:
            raise error

    return run


async def test_steps_run_in_order_and_then_it_is_said_that_none_is_left() -> None:
    """One at a time, also those that are queued by others; between bursts there is no task."""
    peer, done = Peer(), list[int]()
    async with asyncio.TaskGroup() as group:
        turns = Turns(cast(Any, peer), Tasks(group))
        for number in range(5):
            turns.queue(step(lambda number=number: done.append(number)))  # type: ignore[misc]
        turns.queue(step(lambda: turns.queue(step(lambda: done.append(5)))))
        assert turns.working
    assert done == [0, 1, 2, 3, 4, 5]
    assert peer.told == ["settled"]
    assert not turns.working


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Overloaded("x", 700), ("overloaded", 700)),
        (CaptureDegraded("x"), ("capture_degraded", None)),
        (DatabaseError("x"), ("capture_degraded", None)),
        (RuntimeError("x"), "internal"),
    ],
)
async def test_a_step_that_fails_ends_its_connection(error: Exception, said: Any) -> None:
    """What went wrong is told to the one who asked, and nobody else's task ends."""
    peer = Peer()
    async with asyncio.TaskGroup() as group:
        Turns(cast(Any, peer), Tasks(group)).queue(step(error=error))
    assert said in peer.told


async def test_after_the_end_nothing_runs() -> None:
    """Closing cancels what is under way and forgets the rest; nothing can be queued any more."""
    peer, done = Peer(), list[int]()
    async with asyncio.TaskGroup() as group:
        turns = Turns(cast(Any, peer), Tasks(group))
        for _ in range(WAITING):
            turns.queue(step(lambda: done.append(1)))
        assert turns.full
        turns.close()
        turns.queue(step(lambda: done.append(1)))
    assert done == []
