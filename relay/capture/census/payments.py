"""The statements about payments, disputes and fraud alerts. What they mean is told in docs/metrics.md."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from relay.capture.census.words import (
    EPOCH,
    both,
    column,
    finite,
    is_one,
    minute,
    minutes,
    since,
    table,
)
from relay.config_aggregates import HORIZON_MINUTES, TransactionCounts

__all__ = ["active", "by_minute", "pending", "stuck", "trend", "window"]

Now = sql.Composable


def by_minute(counts: TransactionCounts, now: Now) -> sql.Composed:
    """What an engine is loaded with: minute, status, rows, rows with an amount, their sum."""
    return sql.SQL("""
SELECT {minute}, {status}::text, count(*), count(*) FILTER (WHERE {finite}),
       coalesce(sum({amount}::numeric) FILTER (WHERE {finite}), 0)
  FROM {table} WHERE {created} >= {since} GROUP BY 1, 2""").format(
        minute=minute(counts.created_at),
        status=column(counts.status),
        amount=column(counts.amount),
        finite=finite(counts.amount),
        table=table(counts.table),
        created=column(counts.created_at),
        since=since(now, HORIZON_MINUTES),
    )


def pending(counts: TransactionCounts) -> sql.Composed:
    """How many payments are pending, of all time, and how many of them have a time."""
    return sql.SQL("SELECT count(*), count({}) FROM {} WHERE {}").format(
        column(counts.created_at), table(counts.table), is_one(counts.status, counts.pending)
    )


def active(name: str, status: str, statuses: Sequence[str]) -> sql.Composed:
    """How many rows of table ``name`` have one of ``statuses``, of all time."""
    return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table(name), is_one(status, statuses))


def window(counts: TransactionCounts, now: Now, length: int) -> sql.Composed:
    """One window of so many minutes: rate, rows, revenue, average, failed, pending."""
    average = (
        "round(avg({amount}) FILTER (WHERE {paid}), 2)"
        if counts.round_average
        else ("avg({amount}) FILTER (WHERE {paid})")
    )
    return sql.SQL(
        """
SELECT {success}, count(*), coalesce(sum({amount}) FILTER (WHERE {paid}), 0), coalesce(AVERAGE, 0),
       count(*) FILTER (WHERE {failed}), count(*) FILTER (WHERE {pending})
  FROM {table} WHERE {created} >= {since}""".replace("AVERAGE", average)
    ).format(
        success=_success(counts),
        amount=column(counts.amount),
        paid=_paid(counts),
        failed=is_one(counts.status, counts.failed),
        pending=is_one(counts.status, counts.pending),
        table=table(counts.table),
        created=column(counts.created_at),
        since=since(now, length),
    )


def stuck(counts: TransactionCounts, now: Now) -> sql.Composed:
    """How many payments are pending, of all time, and how many of them for too long."""
    return sql.SQL("SELECT count(*), count(*) FILTER (WHERE {} < {}) FROM {} WHERE {}").format(
        column(counts.created_at),
        since(now, counts.stuck_minutes),
        table(counts.table),
        is_one(counts.status, counts.pending),
    )


def trend(counts: TransactionCounts, now: Now) -> sql.Composed:
    """The points of the trend, the earliest first: begin, rows, revenue, rate."""
    step = minutes(counts.trend_minutes)
    last = sql.SQL("date_bin({}, {}, {})").format(step, now, EPOCH)
    first = sql.SQL("{} - {}").format(last, minutes(counts.trend_minutes * (counts.trend_points - 1)))
    return sql.SQL("""
SELECT point, coalesce(rows, 0), coalesce(revenue, 0), coalesce(success, 0)
  FROM generate_series({first}, {last}, {step}) AS point
  LEFT JOIN (SELECT date_bin({step}, {created}::timestamptz, {epoch}) AS point, count(*) AS rows,
                    sum({amount}) FILTER (WHERE {paid}) AS revenue, {success} AS success
               FROM {table} WHERE {created} >= {first} AND {created} < {last} + {step} GROUP BY 1) AS counted
 USING (point) ORDER BY point""").format(
        first=first,
        last=last,
        step=step,
        created=column(counts.created_at),
        epoch=EPOCH,
        amount=column(counts.amount),
        paid=_paid(counts),
        success=_success(counts),
        table=table(counts.table),
    )


def _paid(counts: TransactionCounts) -> sql.Composed:
    return both(is_one(counts.status, counts.paid), finite(counts.amount))


def _success(counts: TransactionCounts) -> sql.Composed:
    attempted = is_one(counts.status, counts.attempted) if counts.attempted else sql.SQL("true")
    return sql.SQL(
        "coalesce(round(100.0 * count(*) FILTER (WHERE {}) / nullif(count(*) FILTER (WHERE {}), 0), 2), 0)"
    ).format(is_one(counts.status, counts.succeeded), attempted)
