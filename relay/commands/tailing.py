"""A small WebSocket client that keeps its place: subscribe, print, reconnect, resume by cursor and views."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from relay.commands.shared import Screen
from relay.errors import RelayError, UsageError
from relay.messages.requests import Subscribe

__all__ = ["Tail"]

#: Seconds before reconnecting: a limit that grows from the first to the last, the pause is random below it.
FIRST_PAUSE, LAST_PAUSE = 0.25, 10.0
#: Trying again cannot help against these.
FINAL_CLOSES = frozenset({4001, 4003})
FINAL_STATUSES = frozenset({400, 401, 403, 404, 405, 426})


class Tail:
    """One subscription to some channels. ``bookmark`` is what ``since`` takes to go on from here."""

    def __init__(
        self,
        *,
        url: str,
        token: str,
        channels: Sequence[str],
        filter: Mapping[str, Any] | None,
        snapshot: int,
        since: str | None,
        count: int | None,
        screen: Screen,
        as_json: bool,
    ) -> None:
        self._url = url
        self._token = token
        self._channels = list(dict.fromkeys(channels))
        self._filter = filter
        self._snapshot = snapshot
        self._left = count
        self._screen = screen
        self._as_json = as_json
        self._cursor, self._views = _read_bookmark(since) if since else ("", {})
        #: What was printed since the last checkpoint, by channel and id: after a resume that comes once more.
        self._seen: set[tuple[str, str]] = set()
        self._pause = FIRST_PAUSE
        self._asked_pause = 0.0  # what a goodbye asked for
        self._cut = False
        self._done = False

    @property
    def bookmark(self) -> str:
        """The last cursor with the views it belongs to, as one word."""
        return json.dumps([self._cursor, self._views], separators=(",", ":")) if self._cursor else ""

    async def run(self) -> None:
        """Print until ``count`` is reached. Raises RelayError when the relay refuses for good."""
        while not self._done:
            try:
                async with connect(
                    self._url,
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    max_size=None,  # a snapshot of 500 rows may pass the library's 1 MiB
                    proxy=None,
                ) as connection:
                    await self._follow(connection)
            except InvalidStatus as error:
                self._refused(error)
            except ConnectionClosed as error:
                closed = error.rcvd
                if closed is not None and closed.code in FINAL_CLOSES:
                    raise RelayError(
                        f"the relay closed with {closed.code}: {closed.reason or 'see the error'}"
                    ) from None
            except InvalidURI:
                raise UsageError(f"{self._url} is no WebSocket address; write ws://host:port/path") from None
            except (OSError, TimeoutError, InvalidHandshake) as error:
                if not self._cursor:  # never connected: more likely a wrong address than an outage
                    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                    raise RelayError(
                        f"no relay answers at {self._url} ({why}); is it running? see --url"
                    ) from None
            if not self._done:
                await self._back_off()

    async def _back_off(self) -> None:
        # A goodbye spreads its clients out by itself; without one chance does.
        pause = self._asked_pause or random.uniform(0, self._pause)
        self._asked_pause, self._cut = 0.0, True
        self._pause = min(self._pause * 2, LAST_PAUSE)
        self._screen.progress(f"disconnected, trying again in {pause:.1f} s")
        await asyncio.sleep(pause)

    def _refused(self, error: InvalidStatus) -> None:
        status = error.response.status_code
        if status in FINAL_STATUSES:
            body = (error.response.body or b"").decode(errors="replace").strip()
            raise RelayError(f"the relay refused with HTTP {status}: {_reason(body)}")

    async def _follow(self, connection: ClientConnection) -> None:
        request = Subscribe(
            channels=self._channels,
            filters=dict.fromkeys(self._channels, self._filter) if self._filter else {},
            snapshot=self._snapshot,
            since=self._cursor or None,
            views=self._views,
        )
        await connection.send(request.model_dump_json(exclude_none=True))
        async for text in connection:
            if not self._take(str(text)) or self._done:
                return

    def _take(self, text: str) -> bool:
        """Print one message. False: the subscription has to be made again, on a new connection."""
        message = json.loads(text)
        kind = message.get("type")
        if kind == "error":
            self._trouble(message)
        elif kind == "subscribed":
            self._views |= {name: each["view"] for name, each in message["channels"].items()}
            self._back_again(message["channels"])
        elif kind == "checkpoint":
            self._pause = FIRST_PAUSE
            self._cursor = message["cursor"]
            self._seen.clear()
        elif kind == "goodbye":
            self._asked_pause = message.get("retry_after_ms", 0) / 1000
        elif kind == "resync":
            self._seen.clear()
        is_change = "data" in message
        if is_change:
            # With the channel: one event of a table has one id in all the channels that show it.
            name = (message["channel"], message["id"])
            if name in self._seen:
                return True
            self._seen.add(name)
        if self._as_json:
            self._screen.line(text)
        elif line := _line(message, self._screen):
            self._screen.line(line)
        if is_change and self._left is not None:
            self._left -= 1
            self._done = self._left <= 0
        return kind != "unsubscribed" or self._goes_on_without(message)

    def _back_again(self, channels: Mapping[str, Mapping[str, Any]]) -> None:
        """Say that the stream goes on, and from where."""
        if self._cut and not self._as_json:
            missed = sum(channel.get("replayed", 0) for channel in channels.values())
            self._screen.line(f"connected again, {missed} missed" if missed else "connected again")
        self._cut = False

    def _goes_on_without(self, message: Mapping[str, Any]) -> bool:
        """What ends by a failure of the moment is asked for again; what was taken away is gone for good."""
        if message["reason"] == "snapshot_failed":
            return False
        self._channels = [name for name in self._channels if name not in message["channels"]]
        if not self._channels:
            raise RelayError(f"nothing is left to follow: {message['reason']}")
        return True

    def _trouble(self, message: Mapping[str, Any]) -> None:
        """An error about what we asked for does not go away by itself."""
        if not message.get("retryable") and not self._views:
            raise RelayError(f"the relay says {message.get('code')}: {message.get('message')}")


def _read_bookmark(text: str) -> tuple[str, dict[str, str]]:
    try:
        cursor, views = json.loads(text)
    except ValueError:
        return text, {}  # a bare cursor: the relay answers with resync unless views are not needed
    if not isinstance(cursor, str) or not isinstance(views, dict):
        raise UsageError("--since is not what an earlier run printed; copy the whole of it")
    return cursor, views


def _reason(body: str) -> str:
    try:
        answer = json.loads(body)
        return str(answer.get("message") or answer.get("code") or body)
    except (ValueError, AttributeError):
        return body or "no reason given"


def _line(message: Mapping[str, Any], screen: Screen) -> str:
    """A message for people; empty for those that say nothing new."""
    kind, channel = message.get("type"), message.get("channel", "")
    if "data" in message:
        data = message["data"]
        row = next((value for key, value in data.items() if isinstance(value, dict)), {})
        crossed = f" ({message['membership']})" if "membership" in message else ""
        action = screen.strong(f"{data.get('action', '')}{crossed}")
        return f"{message['timestamp'][11:19]} {channel:<14} {action} {_pairs(row)}"
    if kind == "snapshot":
        return "\n".join(f"{'present':<8} {channel:<14} {_pairs(row)}" for row in message["rows"])
    if kind == "resync":
        return screen.bad(f"resync {', '.join(message['channels'])}: {message['reason']}")
    if kind == "withheld":
        return screen.bad(f"{channel}: event {message['id']} is withheld, its row could not be read")
    if kind == "unsubscribed":
        return screen.bad(f"unsubscribed {', '.join(message['channels'])}: {message['reason']}")
    if kind in ("error", "goodbye"):
        return screen.bad(f"{kind}: {message.get('message') or message.get('reason') or message.get('code')}")
    if kind == "capture_status" and message["status"] != "ok":
        return screen.bad(f"may be incomplete since {message['since']}: {message.get('reason', '')}")
    return ""


def _pairs(row: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={value if isinstance(value, str) and value and ' ' not in value else json.dumps(value)}"
        for name, value in row.items()
    )
