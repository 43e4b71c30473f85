"""HTTP answers of the gateway: what a refusal and a page look like. Every answer ends its connection."""

from __future__ import annotations

import math
from email.utils import formatdate
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response

from relay.messages.codes import CODES
from relay.messages.frames import Error

__all__ = ["RefusedByHttp", "answer", "refuse", "without_body"]


class RefusedByHttp(Exception):
    """A request that is answered with an error of the table of codes. Not an error of the relay."""

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.headers = headers
        super().__init__(code)

    def response(self) -> Response:
        """The answer to send."""
        return refuse(self.code, self.message, retry_after=self.retry_after, headers=self.headers)


def answer(
    status: int, body: bytes, content_type: str, *, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """A whole HTTP response; the client asks again on a new connection."""
    phrase = HTTPStatus(status).phrase
    fields = [
        ("Date", formatdate(usegmt=True)),
        ("Connection", "close"),
        ("Content-Length", str(len(body))),
        ("Content-Type", content_type),
        ("X-Content-Type-Options", "nosniff"),
        *headers,
    ]
    return Response(status, phrase, Headers(fields), body)


def refuse(
    code: str,
    message: str | None = None,
    *,
    retry_after: float | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """``code`` as HTTP: its status, and the same JSON that an ``error`` message would carry.

    ``retry_after`` in seconds is rounded up to whole ones, at least one, as RFC 9110 §10.2.3 wants them.
    """
    row = CODES[code]
    extra = [*headers, ("Cache-Control", "no-store")]
    if retry_after is not None:
        extra.append(("Retry-After", str(max(1, math.ceil(retry_after)))))
    if row.http == HTTPStatus.UNAUTHORIZED:
        extra.append(("WWW-Authenticate", "Bearer"))  # RFC 9110 §11.6.1 requires a challenge
    body = Error.of(code, message).encode()
    status = row.http or HTTPStatus.INTERNAL_SERVER_ERROR
    return answer(status, body, "application/json", headers=tuple(extra))


def without_body(response: Response) -> Response:
    """The answer to HEAD: the same header, Content-Length included, and nothing after it (RFC 9110
    §9.3.2)."""
    return Response(response.status_code, response.reason_phrase, response.headers, b"")
