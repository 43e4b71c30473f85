"""The health of one webhook endpoint: what failed, what waits, how long answers take, and when it last went well.

Every definition here stands in docs/metrics.md with its SQL, and :mod:`relay.capture.census` asks the same of Postgres.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from relay.capture.change import Change
from relay.config_aggregates import MESSAGE_CHARACTERS, WINDOW_MINUTES, AggregateSettings
from relay.routing.aggregates.engine import Image, Recount, Values, images
from relay.routing.aggregates.latest import Latest
from relay.routing.aggregates.minutes import iso, microseconds, minute_of
from relay.routing.aggregates.roles import Roles
from relay.routing.aggregates.rounding import EXACT, ZERO, rounded
from relay.routing.aggregates.spans import Spans

__all__ = ["WebhookHealth"]

_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = WINDOW_MINUTES["24h"]


class _Facts(NamedTuple):
    """A row as far as it counts. ``done``: processed_at in microseconds; ``took``: from created_at to there."""

    kind: int
    minute: int | None
    done: int | None
    took: Decimal | None
    message: str


class WebhookHealth:
    """The engine of an aggregate over ``webhooks``."""

    def __init__(self, settings: AggregateSettings, minute: int) -> None:
        counts = settings.webhooks
        assert counts is not None
        self._counts = counts
        self._roles = Roles(
            processed=counts.processed, failed=counts.failed, pending=counts.pending, retrying=counts.retrying
        )
        self._processed = self._roles.having("processed")
        self._failed = self._roles.having("failed")
        self._pending = self._roles.having("pending")
        self._retrying = self._roles.having("retrying")
        self._response = WINDOW_MINUTES.get(counts.response_window)
        windows = {_DAY, counts.unhealthy_minutes, self._response or _DAY}
        self._spans = Spans(list(windows), self._roles.classes, minute)
        self._successes: Latest[int] = Latest()
        self._failures: Latest[tuple[int, str]] = Latest()
        # Of all time.
        self._pending_rows = 0
        self._retrying_rows = 0
        self._answered = 0
        self._took = ZERO

    def apply(self, change: Change) -> None:
        """Move the numbers. Raises Recount."""
        old, new = images(change)
        try:
            before = None if old is None else self._facts(old)
            after = None if new is None else self._facts(new)
        except KeyError:  # a column that was not captured when this was written
            raise Recount("row_unknown") from None
        if before == after:
            return
        if before is not None:
            self._move(before, -1)
        if after is not None:
            self._move(after, 1)

    def _facts(self, image: Image) -> _Facts:
        counts = self._counts
        kind = self._roles.of(image[counts.status])
        created, processed = image[counts.created_at], image[counts.processed_at]
        done = took = None
        if kind in self._processed or kind in self._failed:
            done = microseconds(processed)
        if kind in self._processed and done is not None:
            began = microseconds(created)
            took = None if began is None else Decimal(done - began)
        message = ""
        if kind in self._failed and counts.error_message:
            message = (image[counts.error_message] or "")[:MESSAGE_CHARACTERS]
        return _Facts(kind, minute_of(created), done, took, message)

    def _move(self, facts: _Facts, sign: int) -> None:
        kind, minute, done, took, message = facts
        numbers = 0 if took is None else sign
        total = ZERO if took is None else took if sign > 0 else EXACT.minus(took)
        if minute is not None:
            self._spans.add(minute, kind, sign, numbers, total)
        self._stand(kind, sign, numbers, total)
        if done is not None and kind in self._processed:
            self._successes.add(done, sign)
        if done is not None and kind in self._failed:
            self._failures.add((done, message), sign)

    def _stand(self, kind: int, rows: int, numbers: int, total: Decimal) -> None:
        if kind in self._pending:
            self._pending_rows += rows
        if kind in self._retrying:
            self._retrying_rows += rows
        self._answered += numbers
        self._took = EXACT.add(self._took, total)

    def load(self, part: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add what was counted in SQL. Raises Recount."""
        if part == "webhooks":
            for minute, status, count, numbers, took in rows:
                self._spans.add(minute, self._roles.of(status), count, numbers, took or ZERO)
        elif part == "standing":
            for status, count, numbers, took in rows:
                self._stand(self._roles.of(status), count, numbers, took or ZERO)
        elif part == "successes":
            self._successes.load((done, count) for done, count in rows)
        else:
            self._failures.load(((done, message), count) for done, message, count in rows)

    def advance(self, minute: int) -> None:
        """Move the windows on."""
        self._spans.advance(minute)

    def values(self) -> Values:
        """The endpoint's health, under ``webhook_status``. Raises Recount."""
        counts = self._counts
        recent = self._spans.window(counts.unhealthy_minutes)
        success, failure = self._successes.greatest(), self._failures.greatest()
        return {
            "webhook_status": {
                "endpoint_url": counts.endpoint_url,
                "is_healthy": recent.of(self._failed) < counts.unhealthy_failures,
                "last_success": None if success is None else iso(success, _MICROSECOND),
                "last_failure": None if failure is None else iso(failure[0], _MICROSECOND),
                "failure_count_24h": self._spans.window(_DAY).of(self._failed),
                "response_time_avg": self._response_time(),
                "status_code_last": None,  # not stored
                "error_message_last": None if failure is None else failure[1] or None,
                "pending_count": self._pending_rows,
                "retrying_count": self._retrying_rows,
            }
        }

    def _response_time(self) -> Decimal:
        answered, took = self._answered, self._took
        if self._response is not None:
            window = self._spans.window(self._response)
            answered, took = window.numbers_of(self._processed), window.sum_of(self._processed)
        return rounded(int(took), answered * 1000, 1) if answered else Decimal("0.0")
