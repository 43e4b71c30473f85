"""The key set of an identity provider (JWKS, RFC 7517), fetched over HTTP and never on the event loop.

The set is kept until a token names a key that is not in it; then it is fetched again, but not more often
than every ``PAUSE`` seconds whatever strangers put into their tokens, and by one fetch at a time. A set
that cannot be renewed stays in use: an identity provider that is down for a while must not close the
dashboards.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import structlog

from relay import jsontext, metrics

__all__ = ["KeySetSource", "fetch_json"]

#: Least seconds between two fetches.
PAUSE = 10.0
#: Seconds after which a set is renewed even if it serves every token, so that withdrawn keys go.
FRESH = 600.0
#: Seconds for one fetch, and the most bytes of it that are read.
TIMEOUT = 5.0
MOST_BYTES = 1_000_000

T = TypeVar("T")

log = structlog.get_logger(__name__)


def _read(url: str) -> bytes:
    # The address comes from the operator's configuration, where it is checked to be http or https.
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return bytes(answer.read(MOST_BYTES + 1))


async def fetch_json(url: str) -> dict[str, Any]:
    """The JSON object at ``url``. Raises OSError or ValueError."""
    body = await asyncio.to_thread(_read, url)
    if len(body) > MOST_BYTES:
        raise ValueError(f"is longer than {MOST_BYTES} bytes")
    value = jsontext.decode(body)
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    return value


class KeySetSource(Generic[T]):
    """The keys at ``url``, in whatever form ``build`` gives them; it may raise ValueError."""

    def __init__(
        self,
        url: str,
        build: Callable[[dict[str, Any]], T],
        *,
        fetch: Callable[[str], Awaitable[dict[str, Any]]] = fetch_json,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._build = build
        self._fetch = fetch
        self._clock = clock
        self._keys: T | None = None
        self._tried = float("-inf")
        self._renewed = float("-inf")
        self._fetching = asyncio.Lock()

    async def keys(self, serves: Callable[[T], bool]) -> T | None:
        """The present keys, renewed first if they do not serve and it is not too soon. None: never got
        any."""
        if self._keys is not None and serves(self._keys):
            if self._clock() - self._renewed >= FRESH and not self._fetching.locked():
                await self._renew(lambda _: False)
        else:
            await self._renew(serves)
        return self._keys

    async def _renew(self, enough: Callable[[T], bool]) -> None:
        async with self._fetching:
            # Whoever waited here may find that the one before has fetched what it needs.
            if self._keys is not None and enough(self._keys):
                return
            if self._clock() - self._tried < PAUSE:
                return
            self._tried = self._clock()
            try:
                self._keys = self._build(await self._fetch(self._url))
            except (OSError, ValueError) as error:
                metrics.jwks_fetches_total.labels("failed").inc()
                log.warning("key set not renewed", url=self._url, error=str(error))
            else:
                metrics.jwks_fetches_total.labels("ok").inc()
                self._renewed = self._clock()
