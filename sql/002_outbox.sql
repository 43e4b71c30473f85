-- 002: the outbox and its small tables
--
-- What:  relay.event       one row for each captured change
--        relay.state       one row: whose outbox this is, and up to where it was pruned
--        relay.horizon     positions noted by relay.prune, the next ones to prune up to
--        relay.watch_list  what relay.watch was told: the allow-list of columns of each table
--        relay.drift_mark  changes whose row image could not be built, and why
--        relay.revocation  people whose tokens are refused
--        relay.settled     a sequence that the relay writes to, to have the log flushed before it tells of a commit
-- Why:   An outbox row is written by the same transaction as the payment, so both are committed or neither.
-- Locks: Creates empty tables; a second run takes no lock that a writer could notice.
-- Again: Safe to run again. The shape of a table only ever changes in a file with a higher number.

SET ROLE relay_owner;

-- No primary key, no partitions, never TRUNCATEd: whatever happens here must not lock or fail a payment. The
-- index on id is not unique, so that a sequence that fell behind (after a switchover) fails nothing. CACHE 1,
-- because the order of ids is the order of changes to one row. The second index tells at once which tables a
-- transaction of a million rows changed, and between which ids: nobody else has to wait until that is known.
-- Sources are compared byte by byte, so that the index outlives an upgrade of the system's collations.
CREATE TABLE IF NOT EXISTS relay.event (
  id     bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
  xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  source text COLLATE "C" NOT NULL,
  op     text NOT NULL,
  key    jsonb,
  new    jsonb,
  old    jsonb
) WITH (
  -- Rows are inserted at one end and deleted at the other: vacuum little and often.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000
);
-- Not CREATE INDEX IF NOT EXISTS: that one waits for all writers, and holds up new ones, before it looks.
DO $indexes$
BEGIN
  IF to_regclass('relay.event_id') IS NULL THEN
    CREATE INDEX event_id ON relay.event (id);
  END IF;
  IF to_regclass('relay.event_xid') IS NULL THEN
    CREATE INDEX event_xid ON relay.event (xid, source, id);
  END IF;
END
$indexes$;

COMMENT ON TABLE relay.event IS 'Outbox: one row for each change of a watched table. Written by triggers, emptied by relay.prune. Never TRUNCATE or DROP it: that blocks or fails writers.';
COMMENT ON COLUMN relay.event.id IS 'In order of change for any one row; not in order of commit between rows.';
COMMENT ON COLUMN relay.event.xid IS 'The transaction that made the change; by it the relay knows what has been committed since it last looked.';
COMMENT ON COLUMN relay.event.source IS 'schema.table as it was called when it was watched; for a partition, the partitioned table.';
COMMENT ON COLUMN relay.event.op IS 'insert, update, delete or truncate.';
COMMENT ON COLUMN relay.event.key IS 'Primary key after the change (before it, for a delete). Null for truncate, and when a key column itself is gone.';
COMMENT ON COLUMN relay.event.new IS 'Listed columns after the change. Null for delete and truncate, and when the image could not be built.';
COMMENT ON COLUMN relay.event.old IS 'Listed columns before the change. Null for insert and truncate, and when the image could not be built.';

CREATE TABLE IF NOT EXISTS relay.state (
  singleton         boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  install_id        uuid NOT NULL DEFAULT gen_random_uuid(),
  system_identifier text NOT NULL,
  database_oid      oid NOT NULL,
  schema_version    integer NOT NULL,
  horizon           pg_snapshot NOT NULL DEFAULT '3:3:',
  horizon_at        timestamptz,
  horizon_witness   bigint,
  alarm             boolean NOT NULL,
  created_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE relay.state IS 'One row: the identity of this outbox.';
COMMENT ON COLUMN relay.state.install_id IS 'Changes with relay.reset(), so that positions from before it are recognised.';
COMMENT ON COLUMN relay.state.system_identifier IS 'Of the server this outbox was written on; another one means restored or replicated: relay.reset().';
COMMENT ON COLUMN relay.state.horizon IS 'What this snapshot sees may have been pruned. A position is good exactly if it has seen all of it.';
COMMENT ON COLUMN relay.state.horizon_witness IS 'The newest event the horizon sees (greatest xid, then greatest id). Prune leaves it: positions at the horizon are checked against it.';
COMMENT ON COLUMN relay.state.alarm IS 'False: the capture functions never NOTIFY (max_prepared_transactions > 0), and the relay has to poll.';

INSERT INTO relay.state (system_identifier, database_oid, schema_version, alarm)
SELECT c.system_identifier::text, d.oid, 0, current_setting('max_prepared_transactions') = '0'
  FROM pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
 WHERE d.datname = current_database()
    ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS relay.horizon (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  taken_at timestamptz NOT NULL,
  snapshot pg_snapshot NOT NULL,
  witness  bigint
);
COMMENT ON TABLE relay.horizon IS 'Snapshots noted by relay.prune. Each becomes state.horizon once it is older than what is to be kept.';

-- regclass, not oid: a dump writes it as a name, so a restored list still points at the right tables.
CREATE TABLE IF NOT EXISTS relay.watch_list (
  relation    regclass PRIMARY KEY,
  source      text NOT NULL UNIQUE,
  mode        text NOT NULL CHECK (mode IN ('outbox', 'notify')),
  always      boolean NOT NULL,
  key_columns text[] NOT NULL,
  columns     text[] NOT NULL,
  types       text[] NOT NULL,
  unlisted    text[] NOT NULL,
  capture     text NOT NULL,
  watched_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE relay.watch_list IS 'What relay.watch was told. Change it by relay.watch and relay.unwatch only; read it through relay.watched.';
COMMENT ON COLUMN relay.watch_list.columns IS 'The allow-list, key columns included; nothing else of the table ever enters the outbox.';
COMMENT ON COLUMN relay.watch_list.unlisted IS 'The other columns the table had then, to tell which ones were added since.';
COMMENT ON COLUMN relay.watch_list.capture IS 'Name of the generated trigger function in schema relay.';

-- Append-only and without an index: a mark is written inside a payment, and must not wait for another one.
CREATE TABLE IF NOT EXISTS relay.drift_mark (
  source text NOT NULL,
  reason text NOT NULL,
  at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE relay.drift_mark IS 'Written when the image of a changed row could not be built: the event then has its key only. Read it through relay.drift.';

CREATE TABLE IF NOT EXISTS relay.revocation (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject text NOT NULL,
  reason  text NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS revocation_subject ON relay.revocation (subject);
COMMENT ON TABLE relay.revocation IS 'Tokens of subject issued at or before "at" are refused. Written by relay.revoke.';

-- A commit that did not wait for the disk (synchronous_commit = off) is visible before it is there, and a crash takes it
-- back. Before the relay tells of a commit it writes to this sequence and waits for its own commit, unless the log is
-- on disk anyway. Not a table: that would leave dead rows. The value means nothing.
CREATE SEQUENCE IF NOT EXISTS relay.settled;
COMMENT ON SEQUENCE relay.settled IS 'Written by the relay to have the log flushed before it tells of a commit. The value means nothing.';
GRANT UPDATE ON SEQUENCE relay.settled TO relay_reader;

GRANT SELECT ON relay.event, relay.state, relay.horizon, relay.watch_list, relay.drift_mark, relay.revocation TO relay_reader;

RESET ROLE;
