"""One transaction in which an aggregate is counted: all its tables as one snapshot shows them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from psycopg import sql

from relay.capture import queries
from relay.capture.census import payments, webhooks
from relay.capture.census.words import present
from relay.capture.session import Row, Session
from relay.capture.snapshot import Snapshot
from relay.config_aggregates import WINDOW_MINUTES, AggregateSettings, TransactionCounts, WebhookCounts

__all__ = ["Answer", "Census"]

_MICROSECOND: Final = timedelta(microseconds=1)
#: Rows fetched at a time: the event loop does something else in between.
_CHUNK: Final = 500
#: Seconds that a statement may take longer than the server allows it, before the link counts as dead.
_GRACE: Final = 10

#: Section -> name -> value, as :mod:`relay.routing.aggregates` shows them, but numbers as Decimal and times as such.
Answer = dict[str, dict[str, Any]]


class Census:
    """Made with a session that nobody else uses. ``timeout`` is for one statement, in seconds.

    ``now``: count as of this moment instead of the transaction's own, for tests of what the clock does.
    """

    def __init__(self, session: Session, timeout: float, now: datetime | None = None) -> None:
        self._session = session
        self._timeout = timeout
        self._given = now
        self._now = present(now)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[tuple[Snapshot, datetime]]:
        """The transaction, its snapshot and its moment. The snapshot makes no claim that a crash could make untrue.

        Nothing is seen by it that is committed after this was called.
        """
        session = self._session
        await session.fetch(queries.BEGIN_SNAPSHOT)
        try:
            await session.fetch(queries.LIMIT_TIME, {"ms": str(round(self._timeout * 1000))})
            ((present, now, newest),) = await session.fetch(queries.PRESENT)
            yield Snapshot.parse(present).clamp((newest or 0) + 1), self._given or now
        finally:
            await session.rollback()
        await session.settle()

    async def parts(self, settings: AggregateSettings) -> AsyncGenerator[tuple[str, Sequence[Row]], None]:
        """What an engine is loaded with: the name of a part and some of its rows, part after part."""
        for part, statement in self._statements(settings):
            await self._fetch(sql.SQL("DECLARE relay_census NO SCROLL CURSOR FOR ") + statement)
            while rows := await self._fetch(sql.SQL("FETCH FORWARD {} FROM relay_census").format(_CHUNK)):
                yield part, rows
            await self._fetch(sql.SQL("CLOSE relay_census"))

    def _statements(self, settings: AggregateSettings) -> list[tuple[str, sql.Composed]]:
        found: list[tuple[str, sql.Composed]] = []
        if (counts := settings.transactions) is not None:
            found += [
                ("transactions", payments.by_minute(counts, self._now)),
                ("pending", payments.pending(counts)),
            ]
        for part, standing in (("disputes", settings.disputes), ("alerts", settings.alerts)):
            if standing is not None:
                found.append((part, payments.active(standing.table, standing.status, standing.active)))
        if (log := settings.webhooks) is not None:
            found += [
                ("webhooks", webhooks.by_minute(log, self._now)),
                ("standing", webhooks.standing(log)),
                ("successes", webhooks.successes(log)),
                ("failures", webhooks.failures(log)),
            ]
        return found

    async def answer(self, settings: AggregateSettings) -> Answer:
        """What the aggregate has to show, by the definitions of docs/metrics.md and nothing of what is in memory."""
        if settings.webhooks is not None:
            return {"webhook_status": await self._health(settings.webhooks)}
        counts = settings.transactions
        assert counts is not None
        metrics = await self._metrics(counts)
        for name, standing in (("active_disputes", settings.disputes), ("fraud_alerts", settings.alerts)):
            if standing is not None:
                statement = payments.active(standing.table, standing.status, standing.active)
                ((metrics[name],),) = await self._fetch(statement)
        points = await self._fetch(payments.trend(counts, self._now))
        series = {
            name: [{"timestamp": point[0], "value": point[place]} for point in points]
            for place, name in enumerate(("transactions", "revenue", "success_rate"), 1)
        }
        return {"metrics": metrics, "trend_data": series}

    async def _metrics(self, counts: TransactionCounts) -> dict[str, Any]:
        metrics: dict[str, Any] = {}
        for name, length in WINDOW_MINUTES.items():
            ((rate, rows, revenue, average, failed, pending),) = await self._fetch(
                payments.window(counts, self._now, length)
            )
            metrics |= {
                f"success_rate_{name}": rate,
                f"total_transactions_{name}": rows,
                f"total_revenue_{name}": revenue,
            }
            if name == "24h":
                metrics["failed_transactions_24h"] = failed
            if name == counts.average_window:
                metrics["average_transaction_value"] = average
            if name == counts.pending_window:
                metrics["pending_transactions"] = pending
        ((standing, stuck),) = await self._fetch(payments.stuck(counts, self._now))
        metrics["stuck_transactions"] = stuck
        metrics.setdefault("pending_transactions", standing)
        return metrics

    async def _health(self, counts: WebhookCounts) -> dict[str, Any]:
        ((recent, day, pending, retrying, success, took),) = await self._fetch(
            webhooks.health(counts, self._now)
        )
        failures = await self._fetch(webhooks.failures(counts, 1))
        failed, message = failures[0][:2] if failures else (None, "")
        return {
            "endpoint_url": counts.endpoint_url,
            "is_healthy": recent < counts.unhealthy_failures,
            "last_success": success,
            "last_failure": None
            if failed is None
            else datetime.fromtimestamp(0, UTC) + failed * _MICROSECOND,
            "failure_count_24h": day,
            "response_time_avg": Decimal(took),
            "status_code_last": None,
            "error_message_last": message or None,
            "pending_count": pending,
            "retrying_count": retrying,
        }

    async def _fetch(self, statement: sql.Composable) -> Sequence[Row]:
        text = statement.as_string(self._session.connection)
        return await self._session.fetch(text, deadline=self._timeout + _GRACE)
