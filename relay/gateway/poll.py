"""A long poll: a connection that lasts for one answer, whose messages go into a list instead of a socket.

Everything that holds for a connection holds here, because it is one: the hub, the subscriptions, the clock of its
token, reloads, revocations and the drain know it as such. What is decided here is when the answer is due:

    begun ──► asked for has been seen to ──► up to date ──► something came ──► a little later: the answer
                                                  └──► nothing came while the client was ready to wait: the answer

An answer whose last checkpoint covers all of it is worth waiting for: a client can only come back with a cursor, and
what comes after the last one it would be told again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence

from relay import jsontext
from relay.gateway.connection import Connection
from relay.gateway.services import Services
from relay.gateway.websocket import WebSocket
from relay.messages import requests
from relay.messages.codes import CODES
from relay.metrics import traffic
from relay.routing.outlet import Bundle

__all__ = ["Poll"]

#: Seconds from the first piece of news to the answer: what follows it closely comes along.
LINGER = 0.1
#: Seconds after which an answer is due that has something to say which is no news to a client that asked just before:
#: that capture is degraded, that a filter is refused, or the whole of an aggregate.
SOON = 5.0
#: Seconds that an answer waits for a checkpoint beyond what the client wanted to wait.
COVER = 10.0
#: Seconds that a snapshot or replay may take before the client is told to come back later.
PATIENCE = 45.0

_TYPE = re.compile(rb'\{"type":"([^"]*)"')
#: An aggregate, and whether it is whole.
_NUMBERS = re.compile(rb'\{[^{]*"complete":(true|false),')
#: What says nothing new.
_QUIET = frozenset({b"welcome", b"subscribed", b"pong"})
#: What is said soon.
_SOON = frozenset({b"error", b"capture_status", b"token_expiring"})
#: What no checkpoint speaks of.
_APART = _SOON | {b"welcome", b"pong", b"unsubscribed", b"recount", b"goodbye"}


class Poll(Connection):
    """One request for events. ``messages`` is what the answer holds; ``cursor`` where the client has to go on, or None:
    it has to begin anew. ``wait`` is how many seconds it is ready to wait for news; it begins with ``since``, or anew.
    """

    __slots__ = (
        "_begun",
        "_covered",
        "_due_soon",
        "_first",
        "_fresh",
        "_full",
        "_held",
        "_wait",
        "_woken",
        "cursor",
        "messages",
    )

    lasting = False

    def __init__(self, ws: WebSocket, services: Services, *, since: str | None, wait: float) -> None:
        super().__init__(ws, services)
        self.messages: list[bytes] = []
        self.cursor = since
        self._fresh = since is None
        self._wait = wait
        self._begun = ws.loop.time()
        self._woken: asyncio.Future[None] = ws.loop.create_future()
        self._first: float | None = None
        self._due_soon = False
        self._covered = True
        self._full = False
        self._held = 0

    async def answered(self, request: requests.Subscribe) -> None:
        """Return when the answer is due, or the client has hung up."""
        self.subscriptions.subscribe(request)
        loop, gone = self._ws.loop, self._ws.connection_lost_waiter
        while (left := self._due() - loop.time()) > 0 and not gone.done():
            await asyncio.wait([self._woken, gone], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._woken.done():
                self._woken = loop.create_future()
        if gone.done():
            return
        if self.subscriptions.working and not self._full:
            self.goodbye("overloaded")
        traffic.writes += 1
        traffic.messages += len(self.messages)
        traffic.bytes += sum(map(len, self.messages))

    def _due(self) -> float:
        """When to answer, on the loop's clock, as things are now."""
        if self._ended or self._full:
            return self._begun
        if self.subscriptions.working:
            return self._begun + PATIENCE
        due = self._begun + (0.0 if self._fresh else self._wait)
        if not self._covered and self.subscriber.subscriptions:
            return max(due, self._begun + COVER)
        if not len(self.subscriptions):
            return self._begun  # nothing was granted, and nothing will come
        if self._first is not None:
            due = min(due, self._first + LINGER)
        if self._due_soon:
            due = min(due, self._begun + SOON)
        return due

    # What a connection writes, this one keeps.

    @property
    def ended(self) -> bool:
        """Whether the last word has been said."""
        return self._ended

    @property
    def busy(self) -> bool:
        """Never: nothing waits for the client to read."""
        return False

    def offer(self, bundle: Bundle) -> bool:
        """Keep ``bundle``. False: there is no room for it, so the answer is due, and it will come with the next."""
        if self._ended or self._full:
            return False
        size = sum(map(len, bundle.messages))
        if self._held and self._held + size > self._room:
            self._full = True
            self._wake()
            return False
        self._held += size
        self._keep(bundle.messages)
        return True

    async def send_all(self, messages: Sequence[bytes], *, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Keep any number of messages: they are in memory anyway, and the answer has to have them all."""
        if wanted() and not self._ended:
            self._keep(messages)
        return not self._ended

    def _keep(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            kind = _type_of(message)
            if kind == b"checkpoint":
                self.cursor = jsontext.decode(message)["cursor"]
                self._covered = True
                if self.messages and _type_of(self.messages[-1]) == kind:
                    self.messages.pop()  # a heartbeat's, which this one says more than
            else:
                self._judge(kind, message)
            self.messages.append(message)
        self._wake()

    def _judge(self, kind: bytes, message: bytes) -> None:
        numbers = _NUMBERS.match(message)
        if kind == b"capture_status" and b'"status":"ok"' in message:
            return  # no news, for whoever was told else within this poll is answered soon anyway
        if kind in _SOON or (numbers is not None and numbers[1] == b"true"):
            self._due_soon = True
        elif kind not in _QUIET and self._first is None:
            self._first = self._ws.loop.time()
        if kind == b"resync":
            self.cursor = None  # what the client came with is void
        if kind not in _APART and numbers is None:
            self._covered = False

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def settled(self) -> None:
        """Everything that was asked for so far has been seen to."""
        self._wake()

    def pulse(self, *, ping: bool, silent_since: float) -> int:
        """Nothing: whoever waits for an answer is silent, and the end of its connection is noticed."""
        return 0

    def _last_words(self, message: bytes, code: str, linger: float) -> None:
        self._keep((message,))
        if CODES[code].close is not None:
            self._ended = True
            self._ws.loop.call_soon(self._close_subscriptions)


def _type_of(message: bytes) -> bytes:
    found = _TYPE.match(message)
    return found[1] if found is not None else b""
