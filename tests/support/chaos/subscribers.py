"""Subscribers that come and go: cut at the worst moments, back on any relay, slow, forgetful, fickle."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import tomllib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from relay import jsontext
from relay.config import Settings
from tests.support.chaos.memory import Frame, Memory
from tests.support.chaos.relays import Relay
from tests.support.chaos.scene import CONFIG, FILTERS, Filter
from tests.support.published import Published

__all__ = ["Subscriber"]

#: Seconds without a message after which the relay is taken for dead: several heartbeats.
WATCHDOG = 3.0
#: Every message is held against what the relays of the storm publish.
PUBLISHED = Published(Settings.model_validate({**tomllib.loads(CONFIG), "database": {"dsn": "unused"}}))
#: Rows of the snapshots that are asked for, all there are as a rule.
ROWS = 500


class Subscriber:
    """One client application. ``diary`` are its last messages, for the report.

    ``forgetful``: now and then it starts with nothing, or changes its filter.
    """

    def __init__(
        self,
        name: str,
        channels: dict[str, Filter | None],
        dice: random.Random,
        relays: Sequence[Relay],
        token: str,
        *,
        slow: bool = False,
        forgetful: bool = False,
    ) -> None:
        self.name = name
        self.memory = Memory(channels)
        self.sessions = 0
        self.started = asyncio.Event()
        self.finished = False
        self.diary: deque[tuple[float, int, int, Frame]] = deque(maxlen=50_000)
        self._dice = dice
        self._relays = relays
        self._token = token
        self._slow = slow
        self._forgetful = forgetful
        self._until: datetime | None = None
        self._last: Relay | None = None
        self._never = asyncio.Event()
        #: The filter it wants is asked for, and what it has is still of the old one.
        self._between_filters = False

    def finish(self, until: datetime, relay: Relay) -> None:
        """Go to ``relay``, stay there, and end once a checkpoint says that everything before ``until`` is known."""
        self._last = relay
        self._until = until

    async def run(self) -> None:
        """Until finished."""
        while not self.finished:
            relay = self._last or self._dice.choice(self._relays)
            with contextlib.suppress(OSError, TimeoutError, WebSocketException):
                async with self._connection(relay) as socket:
                    self.sessions += 1
                    await self._session(socket, relay)
            await self._pause(self._dice.choice((0.0, 0.02, 0.3)))

    @contextlib.asynccontextmanager
    async def _connection(self, relay: Relay) -> AsyncIterator[ClientConnection]:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            socket = await connect(
                relay.url, additional_headers=headers, max_size=None, compression=None, ping_interval=None,
                open_timeout=WATCHDOG, close_timeout=1, max_queue=2 if self._slow else 64,
            )  # fmt: skip
        except InvalidStatus as refused:
            if refused.response.status_code != 503:
                self.memory.faults.append(f"refused with {refused.response.status_code}")
            raise
        try:
            yield socket
        finally:
            # An end without a word, as of a phone in a tunnel, or with the usual ones.
            if self._dice.random() < 0.7:
                socket.transport.abort()
            await socket.close()

    async def _session(self, socket: ClientConnection, relay: Relay) -> None:
        memory = self.memory
        without_cursor = memory.cursor is None and self.sessions > 1
        if without_cursor or (self._forgetful and self._dice.random() < 0.2):
            memory.forget()
        memory.connected()
        self._between_filters = False
        await self._subscribe(socket, list(memory.channels))
        cut_after, cut_at = self._moment()
        deadline = time.monotonic() + self._dice.expovariate(1 / 3)
        refilter = self._dice.randrange(1, 100) if self._forgetful else 0
        count = 0
        while not self.finished:
            async with asyncio.timeout(WATCHDOG):
                frame: Frame = jsontext.decode(await socket.recv())
            self.diary.append((time.time(), self.sessions, relay.number, frame))
            try:
                PUBLISHED.check(frame)
            except AssertionError as error:
                memory.faults.append(str(error))
            if frame["type"] == "subscribed" and "id" in frame:
                self._between_filters = False
                for name in frame["channels"]:
                    memory.channels[name].forget("changed its filter")
            memory.feed(frame)
            if frame["type"] == "checkpoint":
                self.started.set()
            count += 1
            if count == refilter and self._last is None:
                await self._change_filter(socket)
            if self._slow and self._last is None and self._dice.random() < 0.02:
                await self._pause(self._dice.uniform(0.05, 0.6))
            if self._last is not None:
                if self._last is not relay:
                    return
                told_all = frame["type"] == "checkpoint" and self._told_all(frame)
                self.finished = told_all and not self._between_filters
                continue
            if self.started.is_set() and frame["type"] in cut_at:
                cut_after -= 1
                if cut_after <= 0:
                    return
            if time.monotonic() > deadline:
                return

    def _told_all(self, checkpoint: Frame) -> bool:
        return self._until is not None and datetime.fromisoformat(checkpoint["as_of"]) > self._until

    def _moment(self) -> tuple[int, tuple[str, ...]]:
        """When to end a session: after so many messages of such types."""
        return self._dice.choice(
            (
                (self._dice.randrange(1, 400), ("row_change",)),
                (self._dice.randrange(1, 20), ("row_change",)),
                (self._dice.randrange(1, 4), ("checkpoint",)),
                (1, ("subscribed",)),
                (1, ("snapshot", "resync")),
                (10**9, ()),
                (10**9, ()),
            )
        )

    async def _subscribe(self, socket: ClientConnection, channels: list[str], **more: Any) -> None:
        memory = self.memory
        filters = {name: memory.channels[name].filter for name in channels}
        request: dict[str, Any] = {
            "type": "subscribe",
            "channels": channels,
            "filters": {name: filter.wire for name, filter in filters.items() if filter is not None},
            "snapshot": ROWS,
            **more,
        }
        if memory.cursor is not None and not more:
            request |= {"since": memory.cursor, "views": memory.views}
        await socket.send(jsontext.encode(request).decode())

    async def _change_filter(self, socket: ClientConnection) -> None:
        name = self._dice.choice(sorted(set(FILTERS) & set(self.memory.channels)))
        watched = self.memory.channels[name]
        # What it wants changes at once; what it has is of the old filter until ``subscribed`` says else.
        watched.filter = self._dice.choice(FILTERS[name])
        self._between_filters = True
        await self._subscribe(socket, [name], id=f"filter {self.sessions}")

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._never.wait(), seconds)
