"""One authenticated client: what is written to it, when it is warned, and how it ends.

Nothing here waits for the client but :meth:`Connection.send_all`. A bundle is one write; a client whose
buffer is full is told goodbye and cut off, and nobody else notices. Whatever ends a connection has told the
client why, in a message, before the close frame; the code of either comes from the table of codes.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from relay import metrics
from relay.gateway.websocket import WebSocket
from relay.gateway.wire import PING, text_frame
from relay.messages.codes import CODES
from relay.messages.frames import Error, Goodbye, RequestId, TokenExpiring, Welcome
from relay.metrics import traffic
from relay.routing.outlet import Bundle

if TYPE_CHECKING:
    from relay.gateway.auth import Identity
    from relay.gateway.compat import Profile
    from relay.gateway.peer import Subscribing
    from relay.gateway.services import Services
    from relay.routing.groups import Subscriber
    from relay.routing.policies import Grants

__all__ = ["Connection", "slices"]

#: Seconds between the close frame and the end, for a client that reads and for one that does not.
LINGER = 5.0
LINGER_SLOW = 2.0
#: Seconds that a client may take to make room for more of its snapshot or replay.
PACE = 30.0
#: Bytes that :meth:`Connection.send_all` writes before it looks whether the client keeps up.
SLICE = 65536
#: ``token_expiring`` comes this many seconds before the end, and up to so many more, so that not all
#: refresh at once.
WARNING = 60.0
WARNING_JITTER = 15.0
#: Milliseconds after which a client that was let go should come back, by default: at random between these.
RETRY_MS = (500, 5000)


class Connection:
    """One client from its welcome to its end: an outlet for the hub, a peer for its subscriptions.

    ``lasting``: it goes on until something ends it; a poll is answered soon whatever happens.
    """

    lasting = True

    __slots__ = (
        "_ended",
        "_extra",
        "_room",
        "_timer",
        "_ws",
        "grants",
        "id",
        "identity",
        "profile",
        "services",
        "subscriber",
        "subscriptions",
    )

    identity: Identity
    grants: Grants
    subscriber: Subscriber
    subscriptions: Subscribing

    def __init__(self, ws: WebSocket, services: Services, profile: Profile | None = None) -> None:
        self.id = secrets.token_hex(8)
        self.profile = profile
        self.services = services
        self._ws = ws
        self._room = ws.most_waiting = services.settings.limits.buffer_bytes
        self._extra = 0
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def ended(self) -> bool:
        """Whether the end has begun: nothing that comes from the client counts any more."""
        return self._ended or not self._ws.is_open

    # To the client.

    @property
    def busy(self) -> bool:
        """Whether something that was written is still waiting for the client to read."""
        return self._ws.transport.get_write_buffer_size() > 0

    def offer(self, bundle: Bundle) -> bool:
        """Write ``bundle``, all of it at once. False: full or gone."""
        ws = self._ws
        if self._ended or not ws.is_open:
            return False
        transport = ws.transport
        if transport.is_closing():
            return False
        if self.profile is not None:
            bundle = bundle.translated(self.services.dialect.translate)
            if not bundle.messages:
                return True
        data = bundle.wire(text_frame)
        size = len(data)
        waiting = transport.get_write_buffer_size()
        if waiting and waiting + size > self._room + self._extra:
            metrics.drops_total.inc()
            self.goodbye("too_slow")
            return False
        transport.write(data)
        traffic.writes += 1
        traffic.messages += len(bundle.messages)
        traffic.bytes += size
        return True

    def send(self, *messages: bytes) -> bool:
        """Write ``messages`` at once, under the same bound as a bundle. False: full or gone."""
        return self.offer(Bundle(messages)) if messages else not self.ended

    async def send_all(self, messages: Sequence[bytes], *, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Write any number of messages at the client's pace. False: it is gone, or made no room for too long.

        What is written here does not count against the buffer of live events: a large snapshot is no
        slowness. ``wanted`` is asked before each piece: rights may be withdrawn in the middle.
        """
        for some in slices(messages):
            if not wanted():
                break
            bundle = Bundle(some)
            self._extra += len(bundle.wire(text_frame))
            if not self.offer(bundle):
                return False
            try:
                async with asyncio.timeout(PACE):
                    await self._ws.drain()
            except TimeoutError:
                metrics.drops_total.inc()
                self.goodbye("too_slow")
                return False
            self._extra = min(self._extra, self._ws.transport.get_write_buffer_size())
        return not self.ended

    def settled(self) -> None:
        """Everything that was asked for so far has been seen to, which nobody waits for here."""

    def resync(self, channels: frozenset[str], reason: str) -> None:
        """The hub says that what was sent on ``channels`` is void."""
        if not self.ended:
            self.subscriptions.on_resync(channels, reason)

    def pulse(self, *, ping: bool, silent_since: float) -> int:
        """Look after the link: ping it if ``ping``, let it go if it was not heard since. Returns bytes
        waiting."""
        if self.ended:
            return 0
        if self._ws.heard < silent_since:
            metrics.drops_total.inc()
            self.goodbye("too_slow")
            return 0
        waiting = self._ws.transport.get_write_buffer_size()
        self._extra = min(self._extra, waiting)
        if ping and not waiting:
            self._ws.transport.write(PING)
        return waiting

    # The life of the token.

    def welcome(self, identity: Identity, grants: Grants, *, cursor: str | None) -> None:
        """Greet the client, now or again after a refresh, and watch the clock on behalf of its token."""
        self.identity = identity
        self.send(
            Welcome(
                connection=self.id,
                subject=identity.subject,
                channels=sorted(grants.channels),
                expires_at=datetime.fromtimestamp(identity.expires_at, UTC),
                heartbeat_seconds=self.services.settings.server.heartbeat_seconds,
                cursor=cursor or None,
            ).encode()
        )
        left = identity.expires_at - time.time()
        # A token that lives shorter than the warning is warned about half-way, or its refresh would loop.
        warning = min(WARNING + random.uniform(0, WARNING_JITTER), left / 2)
        self.watch(left - warning, self._warn)

    def watch(self, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then`` after ``seconds``, in place of whatever was waited for before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._ws.loop.call_later(max(0.0, seconds), then)

    def _warn(self) -> None:
        expires_at = self.identity.expires_at
        self.send(TokenExpiring(expires_at=datetime.fromtimestamp(expires_at, UTC)).encode())
        leeway = self.services.authenticator.leeway_seconds
        self.watch(expires_at + leeway - time.time(), self._expire)

    def _expire(self) -> None:
        self.fail("token_expired", "the token has expired; connect with a fresh one")

    # The end.

    def fail(
        self,
        code: str,
        message: str | None = None,
        *,
        id: RequestId | None = None,
        channel: str | None = None,
    ) -> None:
        """Tell the client what it did wrong; where the table of codes says so, that was its last word."""
        if self.ended:
            return
        metrics.errors_sent_total.labels(code).inc()
        self._last_words(Error.of(code, message, id=id, channel=channel).encode(), code, LINGER)

    def goodbye(self, code: str, *, retry_after_ms: int | None = None) -> None:
        """Let the client go, for a reason that is not its fault. It should come back after
        ``retry_after_ms``."""
        if self.ended:
            return
        retry = random.randint(*RETRY_MS) if retry_after_ms is None else retry_after_ms
        linger = LINGER_SLOW if code == "too_slow" else LINGER
        self._last_words(Goodbye.of(code, retry).encode(), code, linger)

    def _last_words(self, message: bytes, code: str, linger: float) -> None:
        if not self._ws.transport.is_closing():
            self._ws.transport.write(text_frame(message))
        close = CODES[code].close
        if close is None:
            return
        metrics.closed_total.labels(code).inc()
        self._ended = True
        self._ws.end(close, linger)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Not within this call: the hub or the subscriptions themselves may be in the middle of something.
        self._ws.loop.call_soon(self._close_subscriptions)

    def abort(self) -> None:
        """Cut the connection. Only for a client that has been told and did not go."""
        self._ws.transport.abort()

    def _close_subscriptions(self) -> None:
        if hasattr(self, "subscriptions"):
            self.subscriptions.close()

    def forget(self) -> None:
        """The socket is gone: let everything go that still knows this connection. Again is harmless."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close_subscriptions()
        if hasattr(self, "subscriber"):
            self.services.hub.detach(self.subscriber)


def slices(messages: Sequence[bytes]) -> Iterator[list[bytes]]:
    """``messages`` in runs of about ``SLICE`` bytes."""
    some: list[bytes] = []
    size = 0
    for message in messages:
        some.append(message)
        size += len(message)
        if size >= SLICE:
            yield some
            some, size = [], 0
    if some:
        yield some
