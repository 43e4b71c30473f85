"""The life of a token on an open connection: refresh, warning, end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.support.gateway import (
    hear,
    make_token,
    opened,
    read_all,
    say,
    unharmed,
    welcome,
)
from tests.support.waiting import eventually


async def test_a_token_may_be_refreshed_in_place() -> None:
    """``auth`` with a newer token of the same subject is answered by a second welcome, then by what was
    lost."""
    async with opened() as room, room.client(token=make_token(channels=["a", "b"])) as client:
        first = await welcome(client)
        await say(client, type="auth", token=make_token(channels=["b"], lives=7200))
        second = await welcome(client)
        assert second["connection"] == first["connection"]
        assert second["channels"] == ["b"]
        assert second["expires_at"] > first["expires_at"]
        assert await hear(client) == {"type": "unsubscribed", "channels": ["a"], "reason": "not_granted"}
        await unharmed(room, client)


@pytest.mark.parametrize(
    ("token", "code", "close"),
    [
        (lambda: make_token("bob"), "subject_changed", 4003),
        (lambda: make_token(channels=[]), "forbidden", 4003),
        (lambda: make_token(lives=-5), "token_expired", 4001),
        (lambda: "rubbish", "token_invalid", 4001),
    ],
)
async def test_a_refresh_with_another_token_ends_the_connection(token: Any, code: str, close: int) -> None:
    """A refresh must bring a good token of the same subject that is still granted something."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        await say(client, type="auth", token=token(), id="r")
        messages, closed = await read_all(client)
        assert ([m["code"] for m in messages], closed) == ([code], close)


async def test_a_token_that_ends_is_warned_about_and_then_it_is_over() -> None:
    """Before the end comes ``token_expiring``; at the end, plus leeway, an error and 4001."""
    async with opened() as room, room.client(token=make_token(lives=1.0)) as client:
        first = await welcome(client)
        warning = await hear(client)
        assert warning == {"type": "token_expiring", "expires_at": first["expires_at"]}
        messages, close = await read_all(client)
        assert ([m["code"] for m in messages], close) == (["token_expired"], 4001)


async def test_a_refresh_postpones_the_end() -> None:
    """A client that refreshes when warned outlives its first token."""
    ends = time.time() + 1.0
    async with opened() as room, room.client(token=make_token(exp=ends)) as client:
        await welcome(client)
        assert (await hear(client))["type"] == "token_expiring"
        await say(client, type="auth", token=make_token())
        await welcome(client)
        await eventually(lambda: time.time() > ends + 0.2)
        await unharmed(room, client)


async def test_a_token_may_be_good_for_ever() -> None:
    """The last moment that can be written is a good expiry."""
    async with opened() as room, room.client(token=make_token(exp=253_402_300_799)) as client:
        assert (await welcome(client))["expires_at"] == "9999-12-31T23:59:59Z"
        await unharmed(room, client)


async def test_what_comes_while_a_token_waits_for_its_keys_is_read_afterwards() -> None:
    """Messages that follow ``auth`` are answered after it, in order, also when its check takes time."""
    async with opened() as room, room.client(token=None) as client:
        verify, asked, go = room.services.authenticator.verify, asyncio.Event(), asyncio.Event()

        async def slowly(token: str) -> Any:
            asked.set()
            await go.wait()
            return await verify(token)

        room.services.authenticator.verify = slowly  # type: ignore[method-assign]
        await say(client, type="auth", token=make_token())
        for number in range(3):
            await say(client, type="ping", id=number)
        await asked.wait()
        go.set()
        await welcome(client)
        assert [(await hear(client))["id"] for _ in range(3)] == [0, 1, 2]
