"""A tab whose WebSockets are recorded as the browser's own developer tools see them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from playwright.async_api import CDPSession

from tests.support.client import Frame
from tests.support.live_page import LivePage
from tests.support.waiting import eventually

__all__ = ["RecordedPage", "Socket"]


@dataclass
class Socket:
    """One WebSocket of a page: its handshake, every text frame in both directions, and whether it is still open."""

    url: str
    offered: str = ""
    status: int = 0
    chosen: str = ""
    received: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    open: bool = True


class RecordedPage(LivePage):
    """The dashboard, or any page of its origin, in a tab. ``sockets`` are all it has opened so far."""

    sockets: list[Socket]

    async def record(self) -> CDPSession:
        """Begin to record. The session of the developer tools, for whoever wants to know more."""
        self.sockets = []
        known: dict[str, Socket] = {}

        def created(event: dict[str, Any]) -> None:
            known[event["requestId"]] = Socket(event["url"])
            self.sockets.append(known[event["requestId"]])

        def asked(event: dict[str, Any]) -> None:
            known[event["requestId"]].offered = _header(event["request"], "sec-websocket-protocol")

        def answered(event: dict[str, Any]) -> None:
            socket, response = known[event["requestId"]], event["response"]
            socket.status, socket.chosen = response["status"], _header(response, "sec-websocket-protocol")

        def frame(event: dict[str, Any], sent: bool) -> None:
            socket, response = known[event["requestId"]], event["response"]
            if response["opcode"] == 1:
                (socket.sent if sent else socket.received).append(response["payloadData"])
            else:
                socket.faults.append(f"a frame with opcode {response['opcode']}")

        tools = await self.page.context.new_cdp_session(self.page)
        tools.on("Network.webSocketCreated", created)
        tools.on("Network.webSocketWillSendHandshakeRequest", asked)
        tools.on("Network.webSocketHandshakeResponseReceived", answered)
        tools.on("Network.webSocketFrameReceived", lambda event: frame(event, sent=False))
        tools.on("Network.webSocketFrameSent", lambda event: frame(event, sent=True))
        tools.on("Network.webSocketClosed", lambda e: setattr(known[e["requestId"]], "open", False))
        await tools.send("Network.enable")
        return tools

    def told(self, *types: str, channel: str | None = None) -> list[Frame]:
        """What it was told so far over all its sockets, in order: of these types, about this channel."""
        frames = [json.loads(text) for socket in self.sockets for text in socket.received]
        return [
            frame
            for frame in frames
            if (not types or frame["type"] in types) and (channel is None or frame.get("channel") == channel)
        ]

    async def caught_up(self) -> None:
        """Wait until the relay has told it everything that was committed before this call."""
        now = datetime.now(UTC)
        await eventually(
            lambda: any(datetime.fromisoformat(f["as_of"]) > now for f in self.told("checkpoint"))
        )

    async def stay(self) -> None:
        """Remember that this is the page, so that :meth:`stayed` can tell a reload."""
        await self.page.evaluate("window.stayed = true")

    async def stayed(self) -> bool:
        """Whether nothing has reloaded the page since."""
        return bool(await self.page.evaluate("window.stayed === true"))


def _header(of: dict[str, Any], name: str) -> str:
    headers: dict[str, str] = {key.lower(): value for key, value in of["headers"].items()}
    return headers.get(name, "")
