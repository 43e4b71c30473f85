"""The one owner of the LISTEN session: hears notifications, tells what they mean, and keeps count."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable

import structlog

from relay.capture import payloads, queries
from relay.capture.change import Change
from relay.capture.session import Session
from relay.capture.stats import Stats
from relay.capture.throttle import Throttle

__all__ = ["Listener"]

log = structlog.get_logger(__name__)

_NONCES_KEPT = 16


class Listener:
    """Hears what comes on the channel for as long as :meth:`run` runs.

    ``wakes`` counts what made the relay look, so that whoever falls asleep can tell whether something came since.
    ``ring`` is called for every notification that matters, ``on_event`` with changes said to be of a table in mode
    notify (False: they are not), ``on_control`` when ``relay.revocation`` may have a new row.
    """

    def __init__(
        self,
        session: Session,
        stats: Stats,
        ring: Callable[[], None],
        on_event: Callable[[Change], bool],
        on_control: Callable[[], None],
    ) -> None:
        self.wakes = 0
        self._session = session
        self._stats = stats
        self._ring = ring
        self._on_event = on_event
        self._on_control = on_control
        self._nonces: OrderedDict[str, None] = OrderedDict()
        self._complaint = Throttle()

    async def start(self) -> None:
        """LISTEN. What is committed from now on is heard, so the poll that catches up comes after this."""
        await self._session.fetch(queries.LISTEN)

    async def run(self) -> None:
        """Hear, until the connection breaks (psycopg.OperationalError) or this is cancelled."""
        attention = asyncio.Event()
        while True:
            self._take()
            attention.clear()
            await self._session.watch(attention)

    async def hears(self, nonce: str, seconds: float) -> bool:
        """Whether ``nonce`` is heard within ``seconds``. Only before :meth:`run`."""
        attention = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while nonce not in self._nonces:
                    attention.clear()
                    await self._session.watch(attention)
                    self._take()
        return nonce in self._nonces

    def has_heard(self, nonce: str) -> bool:
        """Whether the relay has heard itself say ``nonce``."""
        return nonce in self._nonces

    def _take(self) -> None:
        for channel, payload in self._session.heard():
            if channel == payloads.CHANNEL:
                self._hear(payload)

    def _hear(self, text: str) -> None:
        payload = payloads.parse(text)
        match payload:
            case payloads.Wake(nonce=str(nonce)):
                self._nonces[nonce] = None
                if len(self._nonces) > _NONCES_KEPT:
                    self._nonces.popitem(last=False)
            case payloads.Control():
                self._stats.controls += 1
                self._on_control()
                return
            case payloads.Event():
                if not self._on_event(payload.change()):
                    self._ignore(text)
            case payloads.Wake():
                self._wake()
            case None:
                self._ignore(text)
        self._ring()

    def _ignore(self, text: str) -> None:
        self._stats.bad_payloads += 1
        if (count := self._complaint.due()) is not None:
            log.warning("payload_ignored", count=count, bytes=len(text))
        self._wake()

    def _wake(self) -> None:
        self.wakes += 1
        self._stats.wakes += 1
