"""One request on the public address: a page, the API, a refusal, or the way to an upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from relay import metrics
from relay.gateway.admission import Door
from relay.gateway.api import PREFIX, Api
from relay.gateway.compat import PROFILES, Profile
from relay.gateway.handshake import SUBPROTOCOL, offered_subprotocols, split_target, wants_websocket
from relay.gateway.http import RefusedByHttp, refuse, without_body
from relay.gateway.operations import health
from relay.gateway.pages import Pages
from relay.gateway.websocket import WebSocket

if TYPE_CHECKING:
    from relay.gateway.services import Services

__all__ = ["Routes", "amend"]

#: Where WebSocket is spoken whatever other paths are configured: the dashboard connects here.
PATH = "/ws/payment-monitoring/"

log = structlog.get_logger(__name__)


class Routes:
    """Answers the requests of the public address. While ``draining`` nobody is let in any more."""

    def __init__(self, services: Services, door: Door, pages: Pages, api: Api) -> None:
        self._services = services
        self._door = door
        self._pages = pages
        self._api = api
        self.draining = False

    async def __call__(self, ws: WebSocket, request: Request) -> Response | None:
        """The answer to ``request``, or None: go on with the upgrade, decided about in ``ws.admission``."""
        try:
            response = await self._route(ws, request)
        except RefusedByHttp as refused:
            metrics.refused_total.labels(refused.code).inc()
            response = refused.response()
        except Exception:
            log.exception("request failed")
            response = refuse("internal")
        if response is not None:
            if ws.admission is not None:
                ws.admission.seat.leave()
            if request.method == "HEAD":
                response = without_body(response)
        return response

    async def _route(self, ws: WebSocket, request: Request) -> Response | None:
        target = split_target(request.path)
        if target is None:
            raise RefusedByHttp("bad_request")
        path, query = target
        profile = PROFILES.get(path.rstrip("/"))
        if profile is not None or self._is_socket(path):
            await self._admit(ws, request, query, profile)
            return None
        if wants_websocket(request.headers):
            raise RefusedByHttp("not_found")
        if path.startswith(PREFIX):
            return await self._api(ws, request, path, query)
        if request.method not in ("GET", "HEAD"):
            raise RefusedByHttp("method_not_allowed", headers=(("Allow", "GET, HEAD"),))
        if path == "/healthz":
            return health()
        if (page := self._pages.find(path)) is None:
            raise RefusedByHttp("not_found")
        known = ",".join(request.headers.get_all("If-None-Match"))
        hosts = request.headers.get_all("Host")
        return page.response(known=known, host=hosts[0] if len(hosts) == 1 else None)

    def _is_socket(self, path: str) -> bool:
        """Whether WebSocket is spoken at ``path``; a slash forgotten at the end is forgiven."""
        wanted = path.rstrip("/")
        return any(wanted == known.rstrip("/") for known in (PATH, *self._services.settings.server.paths))

    async def _admit(self, ws: WebSocket, request: Request, query: str, profile: Profile | None) -> None:
        headers = request.headers
        if request.method != "GET":
            raise RefusedByHttp("method_not_allowed", headers=(("Allow", "GET"),))
        versions = headers.get_all("Sec-WebSocket-Version")
        if not wants_websocket(headers) or any(version.strip() != "13" for version in versions):
            # RFC 6455 §4.4 asks for the version, RFC 9110 §15.5.22 for the protocol.
            upgrade = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
            raise RefusedByHttp("upgrade_required", headers=upgrade)
        if self.draining:
            raise RefusedByHttp("restart", retry_after=1.0)
        # From here on the seat is given back with the TCP connection, whatever becomes of it.
        admission = ws.admission = self._door.enter(ws.peer, headers)
        admission.profile = profile
        await self._door.identify(admission, headers, query)
        if self.draining:
            raise RefusedByHttp("restart", retry_after=1.0)


def amend(connection: ServerConnection, request: Request, response: Response) -> Response | None:
    """The last word on what the library answers to an upgrade.

    Our own subprotocol is confirmed if it was offered, and never the token that may stand beside it. What
    the library refuses by itself (a bad Sec-WebSocket-Key) gets the form of all our refusals.
    """
    assert isinstance(connection.protocol, ServerProtocol)
    if response.status_code == 101:
        if SUBPROTOCOL in offered_subprotocols(request.headers):
            response.headers["Sec-WebSocket-Protocol"] = SUBPROTOCOL
        return None
    if not connection.protocol.accept_called:
        return None
    metrics.refused_total.labels("bad_request").inc()
    return refuse("bad_request", "the request is no WebSocket handshake of RFC 6455")
