"""The second address, for operators: ``/readyz`` and ``/metrics``. Loopback by default; it asks for no
token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from websockets.http11 import Request, Response

from relay import jsontext, metrics
from relay.gateway.handshake import split_target
from relay.gateway.http import RefusedByHttp, answer, without_body

if TYPE_CHECKING:
    from relay.gateway.websocket import WebSocket

__all__ = ["Operations", "health"]


def health() -> Response:
    """Alive: the event loop answers. Says nothing about the database on purpose, or a restart would be its
    cure."""
    return answer(
        200, jsontext.encode({"status": "ok"}), "application/json", headers=(("Cache-Control", "no-store"),)
    )


class Operations:
    """Answers every request on the operations address. ``unready`` gives the reason not to be sent clients,
    or None."""

    def __init__(self, unready: Callable[[], str | None]) -> None:
        self._unready = unready

    def __call__(self, _: WebSocket, request: Request) -> Response:
        """The answer to ``request``; never an upgrade."""
        try:
            response = self._route(request)
        except RefusedByHttp as refused:
            response = refused.response()
        return without_body(response) if request.method == "HEAD" else response

    def _route(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise RefusedByHttp("method_not_allowed", headers=(("Allow", "GET, HEAD"),))
        target = split_target(request.path)
        match target[0] if target else None:
            case "/readyz":
                return self._readiness()
            case "/healthz":
                return health()
            case "/metrics":
                return answer(
                    200, metrics.render(), metrics.CONTENT_TYPE, headers=(("Cache-Control", "no-store"),)
                )
        raise RefusedByHttp("not_found")

    def _readiness(self) -> Response:
        reason = self._unready()
        body = {"status": "ready"} if reason is None else {"status": "unready", "reason": reason}
        status = 200 if reason is None else 503
        return answer(
            status, jsontext.encode(body), "application/json", headers=(("Cache-Control", "no-store"),)
        )
