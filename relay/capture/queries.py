"""Every statement of the daemon, by name. Parameters are named; ids of transactions travel as text."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BEGIN_READ",
    "BEGIN_SNAPSHOT",
    "COLUMNS",
    "COLUMNS_OF",
    "COLUMN_TYPES",
    "COMMIT",
    "EXTENTS",
    "EXTENTS_BY_SCAN",
    "FACTS",
    "FINGERPRINTS",
    "HELLO",
    "HORIZON",
    "IDENTITY",
    "INTERVAL",
    "LIMIT_TIME",
    "LISTEN",
    "NEWEST",
    "NEXT_ID",
    "NOTIFY",
    "PING",
    "POLL",
    "PRESENT",
    "PRUNE",
    "QUEUED_AT_GATE",
    "QUEUE_USAGE",
    "RELEASE_GATE",
    "REPLAY",
    "REQUEST_GATE",
    "REVOCATIONS",
    "ROLLBACK",
    "SETTINGS",
    "SETTLE",
    "SETTLED",
    "TABLE_COLUMNS",
    "UNSETTLED",
    "WATCHED",
    "WINDOW",
    "WRITERS_SKIP_NOTIFY",
]

#: One outbox row. All but the id are text, so that an unreadable value costs one row and not a batch.
COLUMNS: Final = "id, xid::text, at::text, source, op, key::text, new::text, old::text"

# serializable would make a payment fail for a poll; timeouts of the role or database are not meant for this session;
# a poll takes less time than compiling it would; offsets of timestamps must not depend on who reads them.
SETTINGS: Final = """
SELECT set_config(name, value, false)
  FROM (VALUES ('default_transaction_isolation', 'read committed'), ('default_transaction_read_only', 'off'),
               ('default_transaction_deferrable', 'off'), ('statement_timeout', '0'), ('lock_timeout', '0'),
               ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', %(idle)s), ('jit', 'off'),
               ('transaction_timeout', '0'), ('TimeZone', 'UTC'), ('DateStyle', 'ISO, YMD'),
               ('IntervalStyle', 'postgres'), ('bytea_output', 'hex'),
               ('extra_float_digits', '1'), ('synchronous_commit', 'off'), ('plan_cache_mode', %(plans)s),
               ('enable_seqscan', %(scans)s), ('enable_sort', %(scans)s),
               ('enable_bitmapscan', %(scans)s),
               ('client_min_messages', 'warning')) AS wanted (name, value)
 WHERE name IN (SELECT s.name FROM pg_catalog.pg_settings AS s)
"""

HELLO: Final = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_backend_pid()"

# The timeline is read from the name of the current WAL file: pg_control_checkpoint() still said the old one 40 s after
# a promotion.
IDENTITY: Final = """
SELECT c.system_identifier::text, d.oid::bigint, left(pg_walfile_name(pg_current_wal_lsn()), 8),
       s.install_id::text, s.system_identifier, s.database_oid::bigint, s.schema_version, s.alarm,
       s.horizon::text, pg_current_snapshot()::text,
       coalesce(has_sequence_privilege(to_regclass('relay.settled')::oid, 'UPDATE'), false)
  FROM pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d, relay.state AS s
 WHERE d.datname = current_database()
"""

# Up to where the server's log was written, unless it is on disk up to there.
UNSETTLED: Final = """
SELECT CASE WHEN log.written > log.flushed THEN log.written::text END
  FROM (SELECT pg_current_wal_insert_lsn() AS written, pg_current_wal_flush_lsn() AS flushed OFFSET 0) AS log
"""

# The first row (no id) tells when and with which snapshot the others were read, what relay.state said then, and what of
# the log is unsettled: asked after the snapshot was taken, so that every commit in that was written before.
# "xid <" keeps an open transaction of a million rows from being walked through at every poll: only ids that began
# since the last one are looked at. Those that were running then and have ended are looked up one by one. Both limits
# are InitPlans, so that they are index conditions. There is no ORDER BY: the reader sorts what fits in a chunk, and
# does not ask Postgres to sort what does not.
POLL: Final = f"""
WITH present AS MATERIALIZED (SELECT pg_current_snapshot() AS snapshot)
SELECT NULL::bigint AS id, (SELECT snapshot::text FROM present) AS xid, now()::text AS at, s.install_id::text AS source,
       s.alarm::text AS op, s.horizon::text AS key, ({UNSETTLED}) AS new, NULL::text AS old
  FROM relay.state AS s
UNION ALL
(SELECT {COLUMNS}
   FROM (SELECT * FROM relay.event
          WHERE xid >= %(xmax)s::xid8 AND xid < (SELECT pg_snapshot_xmax(snapshot) FROM present)
            AND source <> ALL (%(lagging)s::text[])
          UNION ALL
         SELECT * FROM relay.event
          WHERE xid = ANY (ARRAY(SELECT unnest(%(xip)s::xid8[]) EXCEPT SELECT pg_snapshot_xip(snapshot) FROM present))
            AND source <> ALL (%(lagging)s::text[])) AS fresh
  LIMIT %(limit)s)
"""

# Between two snapshots of the past: what the later one sees and the earlier does not.
_BETWEEN: Final = """
  FROM (SELECT * FROM relay.event WHERE xid >= %(xmax)s::xid8 AND xid < %(until)s::xid8
         UNION ALL
        SELECT * FROM relay.event WHERE xid = ANY (%(xip)s::xid8[])) AS fresh
 WHERE pg_visible_in_snapshot(xid, %(target)s::pg_snapshot)
"""

INTERVAL: Final = f"SELECT {COLUMNS} {_BETWEEN} AND source = %(source)s LIMIT %(limit)s"

# Which sources an interval is about, and between which ids: from one pair of transaction and source straight to the
# next in the index, so that a transaction of a million rows costs as much as one of ten.
EXTENTS: Final = """
WITH RECURSIVE pair (xid, source, until) AS (
  SELECT first.xid, first.source, piece.until
    FROM unnest(%(starts)s::xid8[], %(untils)s::xid8[]) AS piece (start, until)
   CROSS JOIN LATERAL (SELECT xid, source FROM relay.event WHERE xid >= piece.start AND xid < piece.until
                        ORDER BY xid, source LIMIT 1) AS first
   UNION ALL
  SELECT next.xid, next.source, pair.until
    FROM pair
   CROSS JOIN LATERAL (SELECT xid, source FROM relay.event
                        WHERE (xid, source) > (pair.xid, pair.source) AND xid < pair.until
                        ORDER BY xid, source LIMIT 1) AS next
), known AS (SELECT xid, source FROM pair LIMIT %(limit)s)
SELECT source, (SELECT id FROM relay.event AS e WHERE (e.xid, e.source) = (known.xid, known.source)
                 ORDER BY xid, source, id LIMIT 1),
       (SELECT id FROM relay.event AS e WHERE (e.xid, e.source) = (known.xid, known.source)
         ORDER BY xid DESC, source DESC, id DESC LIMIT 1),
       pg_visible_in_snapshot(xid, %(target)s::pg_snapshot)
  FROM known
"""

# The same where there are so many transactions that reading all rows is quicker.
EXTENTS_BY_SCAN: Final = f"SELECT source, min(id), max(id), true {_BETWEEN} GROUP BY source"

# One piece of a large commit, by the index on id whatever the planner thinks of xids: memory and time are bounded.
WINDOW: Final = f"""
SELECT {COLUMNS} FROM relay.event
 WHERE id >= %(first)s AND id <= %(last)s AND source = %(source)s
   AND pg_visible_in_snapshot(xid, %(target)s::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, %(base)s::pg_snapshot)
 ORDER BY id LIMIT %(limit)s
"""

NEXT_ID: Final = "SELECT id FROM relay.event WHERE id > %(after)s AND id <= %(last)s ORDER BY id LIMIT 1"

HORIZON: Final = "SELECT horizon::text FROM relay.state"

# Where a relay that begins now stands, and the newest row that this covers, in one statement and so in one snapshot.
NEWEST: Final = """
SELECT pg_current_snapshot()::text, s.horizon::text, newest.id, newest.xid::text, newest.at::text
  FROM relay.state AS s
  LEFT JOIN LATERAL (SELECT id, xid, at FROM relay.event WHERE xid < pg_snapshot_xmax(pg_current_snapshot())
                      ORDER BY xid DESC, id DESC LIMIT 1) AS newest ON true
"""

# What decides whether a position can be honoured.
FACTS: Final = """
SELECT s.horizon::text, pg_current_snapshot()::text,
       EXISTS (SELECT FROM relay.event WHERE id = %(id)s AND xid = %(xid)s::xid8 AND at = %(at)s::timestamptz), now()
  FROM relay.state AS s
"""

REPLAY: Final = f"""
SELECT {COLUMNS}
  FROM (SELECT * FROM relay.event WHERE xid >= %(xmax)s::xid8 AND xid < pg_snapshot_xmax(pg_current_snapshot())
         UNION ALL
        SELECT * FROM relay.event WHERE xid = ANY (%(xip)s::xid8[])) AS missed
 LIMIT %(limit)s
"""

# The present, and the greatest transaction id that left a row which is visible in it. Not only of the rows that the
# reader has yet to see: of a large commit on its way it has passed some over. (Without the "e." it would be ordered by
# the output column, which is called xid too, and all of the outbox would be read and sorted.)
PRESENT: Final = """
SELECT pg_current_snapshot()::text, now(),
       (SELECT e.xid::text::bigint FROM relay.event AS e WHERE e.xid < pg_snapshot_xmax(pg_current_snapshot())
         ORDER BY e.xid DESC LIMIT 1)
"""

# Types without their modifiers: a cast to numeric(10,2) would round what is compared. (With NULL in place of -1
# format_type says "character", and a cast to that cuts everything off after the first one.) And the form in which the
# triggers capture a value, see sql/004: a type that is not PostgreSQL's own, or an array of one, as its text.
COLUMN_TYPES: Final = """
SELECT a.attname::text, format_type(a.atttypid, -1), t.typcategory = 'S',
       CASE WHEN coalesce(item.base, whole.base) < 16384 THEN 'value'
            WHEN item.base IS NULL THEN 'text' ELSE 'texts' END
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
 CROSS JOIN LATERAL (
   WITH RECURSIVE u (oid, next) AS (
     SELECT t.oid, CASE WHEN t.typtype = 'd' THEN t.typbasetype END
      UNION ALL
     SELECT y.oid, CASE WHEN y.typtype = 'd' THEN y.typbasetype END
       FROM u JOIN pg_catalog.pg_type AS y ON y.oid = u.next)
   SELECT u.oid AS base FROM u WHERE u.next IS NULL) AS whole
  LEFT JOIN pg_catalog.pg_type AS b ON b.oid = whole.base AND b.typcategory = 'A' AND b.typelem <> 0
  LEFT JOIN LATERAL (
   WITH RECURSIVE u (oid, next) AS (
     SELECT e.oid, CASE WHEN e.typtype = 'd' THEN e.typbasetype END FROM pg_catalog.pg_type AS e WHERE e.oid = b.typelem
      UNION ALL
     SELECT y.oid, CASE WHEN y.typtype = 'd' THEN y.typbasetype END
       FROM u JOIN pg_catalog.pg_type AS y ON y.oid = u.next)
   SELECT u.oid AS base FROM u WHERE u.next IS NULL) AS item ON true
 WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
"""

# The columns of tables with their types, and which of them make up the primary key.
TABLE_COLUMNS: Final = """
SELECT wanted.source, a.attname::text, format_type(a.atttypid, NULL), coalesce(a.attnum = ANY (i.indkey), false)
  FROM unnest(%(sources)s::text[]) AS wanted (source)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = split_part(wanted.source, '.', 1)
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = substr(wanted.source, length(n.nspname) + 2)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
"""

# One event, for whoever asks about it. An id may have been given out again; the later one is meant.
EVENT: Final = f"SELECT {COLUMNS} FROM relay.event WHERE id = %(id)s ORDER BY xid DESC LIMIT 1"

# The changes of its row in its transaction: they may be told as one. A row is one key of one table, before and after.
EVENTS_BESIDE: Final = f"""
WITH asked AS MATERIALIZED (SELECT xid, source, key FROM relay.event WHERE id = %(id)s AND xid = %(xid)s::xid8)
SELECT {", ".join("e." + column.strip() for column in COLUMNS.split(","))}
  FROM relay.event AS e JOIN asked AS a USING (xid)
 WHERE e.source = a.source AND (e.id = %(id)s OR e.key = a.key)
 ORDER BY e.id
 LIMIT %(limit)s
"""

BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

BEGIN_READ: Final = "BEGIN READ ONLY"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
LIMIT_TIME: Final = "SELECT set_config('statement_timeout', %(ms)s, true)"

# A commit with synchronous_commit = off is visible before it is on disk, and a crash takes it back. Whoever waits for a
# commit of their own waits for all that came before it; writing to a sequence is such a commit, and leaves no dead row
# behind and nothing in logical replication.
SETTLE: Final = """
SELECT CASE WHEN pg_current_wal_flush_lsn() < %(written)s::pg_lsn THEN pg_catalog.setval('relay.settled', 1) END
  FROM (SELECT pg_catalog.set_config('synchronous_commit', 'local', true) OFFSET 0) AS local
"""

SETTLED: Final = "SELECT pg_current_wal_flush_lsn() >= %(written)s::pg_lsn"

LISTEN: Final = "LISTEN relay"
NOTIFY: Final = "SELECT pg_notify('relay', %(payload)s)"
PING: Final = "SELECT 1"
QUEUE_USAGE: Final = "SELECT pg_notification_queue_usage()"
REQUEST_GATE: Final = "SELECT relay.request_gate()"
RELEASE_GATE: Final = "SELECT relay.release_gate()"

# Whether this relay's request waits while another relay holds the gate.
QUEUED_AT_GATE: Final = """
SELECT coalesce(bool_or(pid = %(pid)s AND NOT granted) AND bool_or(pid <> %(pid)s AND granted), false)
  FROM pg_catalog.pg_locks
 WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND objsubid = 1
   AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND (classid::bigint << 32 | objid::bigint) = relay.gate_key()
"""

# The very question a writer asks, given back at once. Reading pg_locks instead would lock every partition of the lock
# table, and answer another question.
WRITERS_SKIP_NOTIFY: Final = """
SELECT CASE WHEN pg_try_advisory_lock_shared(relay.gate_key())
            THEN pg_advisory_unlock_shared(relay.gate_key()) ELSE false END
"""

FINGERPRINTS: Final = """
SELECT f.source, f.whole, f.reason, f.fingerprint, w.mode, w.columns
  FROM relay.fingerprint() AS f JOIN relay.watch_list AS w ON w.source = f.source
"""

WATCHED: Final = """
SELECT source, columns, mode, trigger_present, trigger_enabled, missing_columns, drift FROM relay.watched
"""

# A source is schema.table, both unquoted, and the first dot divides them.
COLUMNS_OF: Final = """
SELECT wanted.source, array_agg(a.attname::text) FILTER (WHERE a.attname IS NOT NULL)
  FROM unnest(%(sources)s::text[]) AS wanted (source)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = split_part(wanted.source, '.', 1)
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid
       AND c.relname = substr(wanted.source, length(n.nspname) + 2) AND c.relkind IN ('r', 'p')
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY wanted.source
"""

PRUNE: Final = "SELECT relay.prune(%(keep)s::interval)"
REVOCATIONS: Final = "SELECT subject, reason, at FROM relay.revocation"
