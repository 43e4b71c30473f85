"""What lets a page of another site ask (the CORS protocol of the Fetch standard), for the sites on the list of origins.

Whether a site is on it was decided before. No cookie is ever read, so credentials are not allowed; the token comes in a
header, and for that a browser asks first, once for each address with its query.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate

from websockets.datastructures import Headers
from websockets.http11 import Response

__all__ = ["METHODS", "preflight", "shared_with"]

METHODS = "GET, OPTIONS"
#: Seconds for which a browser may remember the answer to a preflight.
REMEMBERED = 600


def shared_with(origins: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What every answer has, to a request with these Origin headers, all of them allowed: its page may read it."""
    fields = [("Vary", "Origin")]
    if origins:
        fields.append(("Access-Control-Allow-Origin", origins[0]))
        fields.append(("Access-Control-Expose-Headers", "Retry-After"))
    return tuple(fields)


def preflight() -> Response:
    """The answer to OPTIONS, which brings no token."""
    fields = [
        ("Date", formatdate(usegmt=True)),
        ("Connection", "close"),
        ("Allow", METHODS),
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", "Authorization"),
        ("Access-Control-Max-Age", str(REMEMBERED)),
    ]
    return Response(204, "No Content", Headers(fields))
