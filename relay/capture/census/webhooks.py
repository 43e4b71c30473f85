"""The statements about the health of a webhook endpoint. What they mean is told in docs/metrics.md."""

from __future__ import annotations

from psycopg import sql

from relay.capture.census.words import both, calendar, column, is_one, minute, since, table
from relay.config_aggregates import (
    HORIZON_MINUTES,
    LATEST_KEPT,
    MESSAGE_CHARACTERS,
    WINDOW_MINUTES,
    WebhookCounts,
)

__all__ = ["by_minute", "failures", "health", "standing", "successes"]

Now = sql.Composable


def by_minute(counts: WebhookCounts, now: Now) -> sql.Composed:
    """What an engine is loaded with: minute, status, rows, answered rows, microseconds they took."""
    return sql.SQL("""
SELECT {minute}, {status}::text, count(*), count(*) FILTER (WHERE {answered}), sum({took}) FILTER (WHERE {answered})
  FROM {table} WHERE {created} >= {since} GROUP BY 1, 2""").format(
        minute=minute(counts.created_at),
        status=column(counts.status),
        answered=_answered(counts),
        took=_took(counts),
        table=table(counts.table),
        created=column(counts.created_at),
        since=since(now, HORIZON_MINUTES),
    )


def standing(counts: WebhookCounts) -> sql.Composed:
    """What counts over all time: status, rows, answered rows, microseconds they took."""
    wanted = [*counts.pending, *counts.retrying]
    if counts.response_window == "all":
        wanted += counts.processed
    return sql.SQL("""
SELECT {status}::text, count(*), count(*) FILTER (WHERE {answered}), sum({took}) FILTER (WHERE {answered})
  FROM {table} WHERE {wanted} GROUP BY 1""").format(
        status=column(counts.status),
        answered=_answered(counts),
        took=_took(counts),
        table=table(counts.table),
        wanted=is_one(counts.status, wanted),
    )


def successes(counts: WebhookCounts) -> sql.Composed:
    """The latest times at which something was processed, in microseconds since 1970, with the rows that have each."""
    return sql.SQL("""
SELECT (extract(epoch FROM {processed}::timestamptz) * 1000000)::bigint, count(*)
  FROM {table} WHERE {wanted} GROUP BY {processed} ORDER BY {processed} DESC LIMIT {kept}""").format(
        processed=column(counts.processed_at),
        table=table(counts.table),
        wanted=both(is_one(counts.status, counts.processed), calendar(counts.processed_at)),
        kept=sql.Literal(LATEST_KEPT),
    )


def failures(counts: WebhookCounts, most: int = LATEST_KEPT) -> sql.Composed:
    """The latest failures: time, message, rows. Of equal times the greatest message in byte order comes first, an order
    that needs no key and no collation of the server's."""
    message = sql.SQL("''::text").format()
    if counts.error_message:
        message = sql.SQL("left(coalesce({}::text, ''), {})").format(
            column(counts.error_message), sql.Literal(MESSAGE_CHARACTERS)
        )
    return sql.SQL("""
SELECT (extract(epoch FROM {processed}::timestamptz) * 1000000)::bigint, {message} COLLATE "C", count(*)
  FROM {table} WHERE {wanted} GROUP BY {processed}, 2 ORDER BY {processed} DESC, 2 DESC LIMIT {most}""").format(
        processed=column(counts.processed_at),
        message=message,
        table=table(counts.table),
        wanted=both(is_one(counts.status, counts.failed), calendar(counts.processed_at)),
        most=sql.Literal(most),
    )


def health(counts: WebhookCounts, now: Now) -> sql.Composed:
    """Recent failures, failures of a day, pending, retrying, the last success, the mean time of an answer in ms."""
    recently = sql.SQL("true").format()
    if counts.response_window != "all":
        recently = sql.SQL("{} >= {}").format(
            column(counts.created_at), since(now, WINDOW_MINUTES[counts.response_window])
        )
    return sql.SQL("""
SELECT count(*) FILTER (WHERE {failed} AND {created} >= {recent}),
       count(*) FILTER (WHERE {failed} AND {created} >= {day}),
       count(*) FILTER (WHERE {pending}), count(*) FILTER (WHERE {retrying}),
       max({processed}) FILTER (WHERE {succeeded}),
       coalesce(round(avg({took} / 1000) FILTER (WHERE {answered} AND {recently}), 1), 0)
  FROM {table}""").format(
        failed=is_one(counts.status, counts.failed),
        created=column(counts.created_at),
        recent=since(now, counts.unhealthy_minutes),
        day=since(now, WINDOW_MINUTES["24h"]),
        pending=is_one(counts.status, counts.pending),
        retrying=is_one(counts.status, counts.retrying),
        processed=column(counts.processed_at),
        succeeded=both(is_one(counts.status, counts.processed), calendar(counts.processed_at)),
        took=_took(counts),
        answered=_answered(counts),
        recently=recently,
        table=table(counts.table),
    )


def _answered(counts: WebhookCounts) -> sql.Composed:
    return both(
        is_one(counts.status, counts.processed), calendar(counts.processed_at), calendar(counts.created_at)
    )


def _took(counts: WebhookCounts) -> sql.Composed:
    """Microseconds from receipt to processing, exactly."""
    return sql.SQL(
        "((extract(epoch FROM {}::timestamptz) - extract(epoch FROM {}::timestamptz)) * 1000000)"
    ).format(column(counts.processed_at), column(counts.created_at))
