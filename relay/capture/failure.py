"""How a connected period ends: all of its parts at once, and for one reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import psycopg

from relay.capture.gate import Gate
from relay.capture.link import Link
from relay.capture.session import fault
from relay.errors import DatabaseError

__all__ = ["cause", "until_failure"]


async def until_failure(part: Callable[[], Awaitable[None]], link: Link, gate: Gate) -> None:
    """Run ``part``. When it fails all sessions end before the others are cancelled: none waits on a dead link."""
    try:
        await part()
    except Exception:
        link.abort()
        gate.abort()
        raise


def cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one DatabaseError behind a failed period; what is no trouble of Postgres goes out as it is."""
    first: BaseException | None = None
    for error in _leaves(group):
        ours = fault(error, "reading the outbox") if isinstance(error, psycopg.Error) else error
        if not isinstance(ours, DatabaseError):
            return ours
        first = first or ours
    return first or group


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
