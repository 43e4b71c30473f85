"""``/api/``: the stream for who cannot have a WebSocket, rows as they are now, and the schema of both.

In this order, so that whoever is refused costs little: Origin, rate and seat, token, parameters; then the work. All
that a client can be told as a message it is told as one, in an answer with status 200, also that its token has expired
meanwhile; the next request gets the status for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, Protocol

from websockets.http11 import Request, Response

from relay import jsontext, metrics
from relay.errors import TokenRefused
from relay.gateway import cors
from relay.gateway.asking import read_events, read_snapshot
from relay.gateway.dialogue import House
from relay.gateway.handshake import Headers
from relay.gateway.http import RefusedByHttp, answer
from relay.gateway.poll import Poll
from relay.gateway.websocket import WebSocket
from relay.messages import requests
from relay.messages.aggregates import AGGREGATE_MESSAGES
from relay.messages.codes import CODES
from relay.messages.schema import json_schema

if TYPE_CHECKING:
    from relay.gateway.auth import Identity
    from relay.gateway.connection import Connection
    from relay.routing.policies import Grants

__all__ = ["PREFIX", "Api", "Host"]

PREFIX = "/api/"
#: Seconds after which a client should come back whose snapshot could not be taken.
RETRY_SECONDS = 5.0


class Host(House, Protocol):
    """What the API needs of the gateway, besides what a dialogue does."""

    @property
    def draining(self) -> bool:
        """Whether nobody is let in any more."""

    def arrived(self, connection: Connection) -> None:
        """``connection`` has to be told when the relay goes."""


class Api:
    """Answers the requests below ``/api/``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._paths: Mapping[str, Callable[[WebSocket, Request, str], Awaitable[Response]]] = {
            "/api/events": self._events,
            "/api/snapshot": self._snapshot,
            "/api/schema": self._schema,
        }

    async def __call__(self, ws: WebSocket, request: Request, path: str, query: str) -> Response:
        """The answer to ``request``. Raises RefusedByHttp."""
        self._host.door.look_at_origin(ws.peer, request.headers)
        shared = cors.shared_with(request.headers.get_all("Origin"))
        try:
            response = await self._route(ws, request, path, query)
        except RefusedByHttp as refused:
            # The page that asked shall be able to read why.
            refused.headers += shared
            raise
        for name, value in shared:
            response.headers[name] = value
        return response

    async def _route(self, ws: WebSocket, request: Request, path: str, query: str) -> Response:
        if (serve := self._paths.get(path.rstrip("/"))) is None:
            raise RefusedByHttp("not_found")
        if request.method == "OPTIONS":
            return cors.preflight()
        if request.method != "GET":
            raise RefusedByHttp("method_not_allowed", headers=(("Allow", cors.METHODS),))
        return await serve(ws, request, query)

    async def _admit(self, ws: WebSocket, headers: Headers) -> tuple[Identity, Grants]:
        """Who asks, and what they may see. From here on the seat is given back with the TCP connection, or the
        answer."""
        door = self._host.door
        self._refuse_if_draining()
        ws.admission = door.enter_poll(ws.peer, headers)
        identity = await door.identify_poll(ws.admission, headers)
        self._refuse_if_draining()
        try:
            return identity, door.grants(identity)
        except TokenRefused as refused:
            raise RefusedByHttp(refused.code, str(refused)) from None

    def _refuse_if_draining(self) -> None:
        if self._host.draining:
            raise RefusedByHttp("restart", retry_after=1.0)

    async def _poll(
        self, ws: WebSocket, request: requests.Subscribe, who: tuple[Identity, Grants], wait: float
    ) -> Poll:
        """What ``who`` is told, subscribing like this."""
        host, (identity, grants) = self._host, who
        poll = Poll(ws, host.services, since=request.since, wait=wait)
        host.arrived(poll)
        try:
            poll.grants = grants
            poll.subscriber = host.services.hub.attach(poll)
            poll.subscriptions = host.subscribing(poll)
            poll.welcome(identity, grants, cursor=None)
            host.joined(poll)
            await poll.answered(request)
        finally:
            poll.forget()
            host.left(poll)
        return poll

    async def _events(self, ws: WebSocket, request: Request, query: str) -> Response:
        metrics.api_requests_total.labels("events").inc()
        who = await self._admit(ws, request.headers)
        asked = read_events(query)
        poll = await self._poll(ws, asked.request, who, asked.wait)
        return _json(
            b'{"messages":[%b],"cursor":%b}' % (b",".join(poll.messages), jsontext.encode(poll.cursor))
        )

    async def _snapshot(self, ws: WebSocket, request: Request, query: str) -> Response:
        metrics.api_requests_total.labels("snapshot").inc()
        who = await self._admit(ws, request.headers)
        asked = read_snapshot(query)
        # A position of before: what happened while the rows were read is in them or not, and will be told again.
        position = self._host.services.hub.position
        poll = await self._poll(ws, asked, who, 0.0)
        page = _page([jsontext.decode(each) for each in poll.messages])
        if page["type"] == "snapshot" and position is not None:
            page |= {"cursor": position.cursor, "as_of": position.as_of.astimezone(UTC)}
        return _json(jsontext.encode(page))

    async def _schema(self, ws: WebSocket, request: Request, query: str) -> Response:
        metrics.api_requests_total.labels("schema").inc()
        _, grants = await self._admit(ws, request.headers)
        settings = self._host.services.settings
        schema = json_schema(
            {name: each for name, each in settings.channels.items() if name in grants.channels},
            [policy for policy in settings.policies if policy.name == grants.policy],
            {name: each for name, each in settings.aggregates.items() if name in grants.channels},
        )
        return _json(jsontext.encode(schema), "application/schema+json")


def _page(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """The snapshot among ``frames``, or the whole of an aggregate, with its filter and view. Raises RefusedByHttp."""
    page: dict[str, Any] = {}
    for frame in frames:
        match frame["type"]:
            case "subscribed":
                (subscribed,) = frame["channels"].values()
                page |= {"filter": subscribed["filter"], "view": subscribed["view"]}
            case "error":
                retry = RETRY_SECONDS if frame["retryable"] else None
                raise RefusedByHttp(frame["code"], frame["message"], retry_after=retry)
            case "goodbye":
                code = frame["code"] if CODES[frame["code"]].http else "overloaded"
                raise RefusedByHttp(code, retry_after=frame["retry_after_ms"] / 1000)
            case kind if kind == "snapshot" or (kind in AGGREGATE_MESSAGES and frame.get("complete")):
                page |= frame
    if "type" not in page:
        raise RefusedByHttp("snapshot_failed", "it is being counted", retry_after=RETRY_SECONDS)
    return page


def _json(body: bytes, content_type: str = "application/json") -> Response:
    return answer(200, body, content_type, headers=(("Cache-Control", "no-store"),))
