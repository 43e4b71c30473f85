"""When the answer to a poll is due, what it holds, and where its client has to go on from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relay import jsontext
from relay.gateway import poll as poll_module
from relay.gateway.poll import Poll
from relay.messages.requests import Subscribe
from relay.routing.outlet import Bundle

REQUEST = Subscribe(channels=["transactions"])
CHANGE = b'{"type":"transaction_update","channel":"transactions","id":"7","data":{}}'
WHOLE = b'{"type":"metrics_update","channel":"metrics","complete":true,"data":{"metrics":{}}}'
DELTA = b'{"type":"metrics_update","channel":"metrics","complete":false,"data":{"metrics":{}}}'
SUBSCRIBED = b'{"type":"subscribed","channels":{}}'
RESYNC = b'{"type":"resync","channels":["transactions"],"reason":"cursor"}'
DEGRADED = b'{"type":"capture_status","status":"degraded","since":"x"}'


def checkpoint(cursor: str) -> bytes:
    """A checkpoint, as far as a poll reads it."""
    return jsontext.encode({"type": "checkpoint", "cursor": cursor, "as_of": "x"})


class Subscriptions:
    """What a subscribe sets in motion is what the test says."""

    def __init__(self) -> None:
        self.working = False
        self.closed = False
        self.then: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return 1

    def subscribe(self, _: Subscribe) -> None:
        """As subscriptions do, at once."""
        self.then()

    def close(self) -> None:
        """As subscriptions do."""
        self.closed = True


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is waited for by default takes for ever: what ends a poll is what the test is about."""
    for name in ("LINGER", "SOON", "COVER", "PATIENCE"):
        monkeypatch.setattr(poll_module, name, 1000.0)


def poll(*, since: str | None = "c0", wait: float = 1000.0, room: int = 10_000) -> Poll:
    """A poll of somebody with one subscription to rows."""
    loop = asyncio.get_running_loop()
    ws = SimpleNamespace(loop=loop, connection_lost_waiter=loop.create_future(), most_waiting=0)
    services = SimpleNamespace(settings=SimpleNamespace(limits=SimpleNamespace(buffer_bytes=room)))
    made = Poll(cast(Any, ws), cast(Any, services), since=since, wait=wait)
    made.subscriptions = Subscriptions()  # type: ignore[assignment]
    made.subscriber = SimpleNamespace(subscriptions={"transactions": None})  # type: ignore[assignment]
    return made


def told(made: Poll, *messages: bytes) -> Poll:
    """The same poll, to which its subscriptions will say this."""
    cast(Any, made.subscriptions).then = lambda: made.send(*messages)
    return made


async def ends(made: Poll) -> bool:
    """Whether the answer is due by now, without anything more happening."""
    task = asyncio.ensure_future(made.answered(REQUEST))
    done, _ = await asyncio.wait([task], timeout=0.05)
    task.cancel()
    return bool(done)


async def test_without_a_cursor_it_ends_when_it_is_up_to_date() -> None:
    """A fresh poll waits for nothing but its checkpoint."""
    assert not await ends(told(poll(since=None), SUBSCRIBED))
    made = told(poll(since=None), SUBSCRIBED, checkpoint("c1"))
    assert await ends(made)
    assert made.cursor == "c1"


async def test_with_a_cursor_it_waits_for_news() -> None:
    """Being resumed, heartbeats and pongs are no news."""
    made = told(poll(), SUBSCRIBED, checkpoint("c1"), b'{"type":"pong"}', checkpoint("c2"))
    assert not await ends(made)
    assert await ends(told(poll(wait=0.0), SUBSCRIBED, checkpoint("c1")))


async def test_news_end_it_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once something has come the answer waits for what follows closely, and no longer."""
    assert not await ends(told(poll(), CHANGE, checkpoint("c1")))
    monkeypatch.setattr(poll_module, "LINGER", 0.0)
    for news in (CHANGE, DELTA, b'{"type":"withheld"}', b'{"type":"unsubscribed"}', b'{"type":"recount"}'):
        assert await ends(told(poll(), news, checkpoint("c1"))), news


async def test_news_wait_for_the_checkpoint_that_covers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a large commit there is none; the answer waits, but not for ever."""
    monkeypatch.setattr(poll_module, "LINGER", 0.0)
    for news in (CHANGE, RESYNC, SUBSCRIBED):
        assert not await ends(told(poll(wait=0.0), checkpoint("c1"), news))
    monkeypatch.setattr(poll_module, "COVER", 0.0)
    made = told(poll(wait=0.0), checkpoint("c1"), CHANGE)
    assert await ends(made)
    assert made.cursor == "c1"


async def test_what_is_no_news_to_somebody_who_asked_just_before_comes_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole aggregate, a refusal, an ending token or degraded capture make nobody poll in a tight loop."""
    monkeypatch.setattr(poll_module, "LINGER", 0.0)
    said = (WHOLE, DEGRADED, b'{"type":"error"}', b'{"type":"token_expiring"}')
    for each in said:
        assert not await ends(told(poll(), each, checkpoint("c1"))), each
    monkeypatch.setattr(poll_module, "SOON", 0.0)
    for each in said:
        assert await ends(told(poll(), each, checkpoint("c1"))), each
    assert not await ends(told(poll(), b'{"type":"capture_status","status":"ok","since":"x"}'))


async def test_numbers_need_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of an aggregate after a checkpoint does not make the answer wait for another one."""
    monkeypatch.setattr(poll_module, "LINGER", 0.0)
    assert await ends(told(poll(), checkpoint("c1"), DELTA))


async def test_a_resync_takes_the_cursor_away_until_the_next_checkpoint() -> None:
    """An answer that ends in between leaves its client nothing to go on from."""
    made = told(poll(), RESYNC)
    await ends(made)
    assert made.cursor is None
    made.send(checkpoint("c2"))
    assert made.cursor == "c2"


async def test_while_something_is_fetched_it_waits_patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot on its way is waited for beyond what the client wanted; past all patience it is told to come back."""
    made = poll(wait=0.0)
    cast(Any, made.subscriptions).working = True
    assert not await ends(made)
    monkeypatch.setattr(poll_module, "PATIENCE", 0.0)
    assert await ends(made)
    assert jsontext.decode(made.messages[-1])["code"] == "overloaded"


async def test_it_is_woken_when_everything_has_been_seen_to() -> None:
    """The end of a fetch that says nothing more is noticed."""
    made = poll(wait=0.0)
    cast(Any, made.subscriptions).working = True
    task = asyncio.ensure_future(made.answered(REQUEST))
    await asyncio.sleep(0)
    cast(Any, made.subscriptions).working = False
    made.settled()
    await asyncio.wait_for(task, 5)


async def test_a_full_list_is_an_answer() -> None:
    """What does not fit is not taken, and the answer goes out; a first message of any size fits."""
    made = told(poll(room=100), CHANGE * 10)
    assert not await ends(made)
    made = poll(room=100)
    assert made.offer(Bundle([CHANGE]))
    assert not made.offer(Bundle([CHANGE]))
    assert not made.offer(Bundle([checkpoint("c1")]))
    assert await ends(made)
    assert (made.messages, made.cursor) == ([CHANGE], "c0")


async def test_what_was_fetched_is_no_flood() -> None:
    """A snapshot or replay of any size is taken, as long as it is wanted."""
    made = poll(room=100)
    assert await made.send_all([CHANGE] * 100, wanted=lambda: True)
    await made.send_all([CHANGE] * 100, wanted=lambda: False)
    assert len(made.messages) == 100
    assert made.offer(Bundle([checkpoint("c1")]))


@pytest.mark.parametrize(
    ("end", "kind"),
    [(lambda made: made.fail("token_expired"), "error"), (lambda made: made.goodbye("restart"), "goodbye")],
)
async def test_last_words_are_the_last(end: Callable[[Poll], None], kind: str) -> None:
    """What ends a connection ends a poll at once; nothing comes after it, and its subscriptions end."""
    made = told(poll(), SUBSCRIBED)
    end(made)
    assert await ends(made)
    assert not made.send(CHANGE)
    assert not await made.send_all([CHANGE])
    end(made)
    assert [jsontext.decode(each)["type"] for each in made.messages] == [kind]
    assert cast(Any, made.subscriptions).closed


async def test_an_error_that_closes_nothing_is_a_message() -> None:
    """What would leave a connection open leaves a poll waiting."""
    made = poll()
    made.fail("busy")
    assert not await ends(made)
    assert not made.ended


async def test_who_hangs_up_is_not_waited_for() -> None:
    """The end of the TCP connection ends the poll."""
    made = poll()
    task = asyncio.ensure_future(made.answered(REQUEST))
    await asyncio.sleep(0)
    cast(Any, made)._ws.connection_lost_waiter.set_result(None)
    await asyncio.wait_for(task, 5)
    assert made.messages == []
