-- 009: upkeep
--
-- What:  relay.prune(keep)               deletes one batch of old events, returns how many are left to delete
--        relay.revoke(subject, reason)   ends a person's connections and refuses their tokens
--        relay.reset()                   empties the outbox and starts a new epoch, after a restore
--        relay.position()                where the outbox stands now, in a form that survives a crash
-- Why:   The outbox holds what a dashboard may still have missed, and nothing older.
-- Locks: Row locks on outbox rows that no writer ever touches. Two prunes do not wait for each other.
-- Again: Safe to run again.

SET ROLE relay_owner;

-- The current snapshot, clamped: D is one more than the greatest transaction id seen in the outbox, and ids
-- from D on are left out. After a crash PostgreSQL may give out such an id a second time, if it had ended
-- without a flushed commit; a position that called it "seen" would lose the payment that gets it next.
-- witness: the newest row (greatest xid, then greatest id). As long as it exists, positions that cover this one
-- can prove that they belong to this history.
CREATE OR REPLACE FUNCTION relay.position(OUT snapshot pg_snapshot, OUT witness bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  WITH now AS MATERIALIZED (
    SELECT pg_current_snapshot() AS snapshot, coalesce(pg_current_xact_id_if_assigned(), '0') AS own
  ), newest AS MATERIALIZED (
    SELECT e.id, e.xid FROM relay.event AS e WHERE e.xid <> (SELECT own FROM now) ORDER BY e.xid DESC, e.id DESC LIMIT 1
  ), clamp AS MATERIALIZED (
    -- Never behind the horizon: its rows may be gone, and were seen all the same.
    SELECT greatest((SELECT n.xid::text::bigint + 1 FROM newest AS n),
                    (SELECT pg_snapshot_xmax(s.horizon)::text::bigint FROM relay.state AS s)) AS xmax
  ), running AS MATERIALIZED (
    -- pg_current_snapshot leaves out one's own transaction.
    SELECT DISTINCT x.xid
      FROM (SELECT pg_snapshot_xip(now.snapshot)::text::bigint FROM now UNION SELECT now.own::text::bigint FROM now) AS x(xid), clamp
     WHERE x.xid > 0 AND x.xid < clamp.xmax
  )
  SELECT format('%s:%s:%s', coalesce((SELECT min(r.xid) FROM running AS r), clamp.xmax), clamp.xmax,
                (SELECT string_agg(r.xid::text, ',' ORDER BY r.xid) FROM running AS r))::pg_snapshot,
         (SELECT n.id FROM newest AS n)
    FROM clamp
$function$;

-- A position is noted at most every ten seconds. The newest one that is older than "keep" becomes the horizon;
-- what it sees is deleted, oldest first, at most "batch" rows a call. The answer stops counting at 100,000.
CREATE OR REPLACE FUNCTION relay.prune(keep interval, batch integer DEFAULT 10000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
  state relay.state;
  due relay.horizon;
  remaining bigint;
BEGIN
  IF keep IS NULL OR keep < '0'::interval OR batch IS NULL OR batch < 1 THEN
    RAISE EXCEPTION 'cannot keep events for %, % rows at a time', keep, batch
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For instance: SELECT relay.prune(''24 hours'');';
  END IF;
  IF current_setting('transaction_isolation') = 'serializable' THEN
    RAISE EXCEPTION 'relay.prune was called in a serializable transaction, which could make a payment fail'
      USING ERRCODE = 'invalid_transaction_state', HINT = 'SET default_transaction_isolation = ''read committed''; then call it again.';
  END IF;

  SELECT s.* INTO state FROM relay.state AS s FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    -- Another prune is at it.
    SELECT s.* INTO state FROM relay.state AS s;
  ELSE
    IF keep < '1 minute' OR NOT EXISTS (SELECT FROM relay.horizon AS h WHERE h.taken_at > clock_timestamp() - interval '10 seconds') THEN
      INSERT INTO relay.horizon (taken_at, snapshot, witness) SELECT clock_timestamp(), p.snapshot, p.witness FROM relay.position() AS p;
    END IF;
    SELECT h.* INTO due FROM relay.horizon AS h WHERE h.taken_at <= clock_timestamp() - keep ORDER BY h.id DESC LIMIT 1;
    IF FOUND THEN
      -- In the same transaction as the deletions, so that nobody sees the one without the other.
      UPDATE relay.state SET horizon = due.snapshot, horizon_at = due.taken_at, horizon_witness = due.witness RETURNING * INTO state;
      DELETE FROM relay.horizon AS h WHERE h.id < due.id;
    END IF;

    DELETE FROM relay.event AS e
     WHERE e.ctid = ANY (ARRAY(
       SELECT o.ctid FROM relay.event AS o
        WHERE o.xid < pg_snapshot_xmax(state.horizon) AND pg_visible_in_snapshot(o.xid, state.horizon) AND o.id IS DISTINCT FROM state.horizon_witness
        ORDER BY o.xid LIMIT batch));
    DELETE FROM relay.drift_mark AS m WHERE m.at < clock_timestamp() - keep;
  END IF;

  SELECT count(*) INTO remaining
    FROM (SELECT FROM relay.event AS o
           WHERE o.xid < pg_snapshot_xmax(state.horizon) AND pg_visible_in_snapshot(o.xid, state.horizon) AND o.id IS DISTINCT FROM state.horizon_witness
           LIMIT 100000) AS o;
  RETURN remaining;
END
$function$;

-- A row, and a hint to read it. The hint proves nothing by itself: anybody may NOTIFY.
CREATE OR REPLACE FUNCTION relay.revoke(subject text, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
  revocation bigint;
BEGIN
  IF coalesce(revoke.subject, '') = '' OR length(revoke.subject) > 1000 OR coalesce(revoke.reason, '') = '' THEN
    RAISE EXCEPTION 'a revocation needs a subject (at most 1,000 characters) and a reason'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For instance: SELECT relay.revoke(''42'', ''laptop stolen''); the subject is the "sub" of the token.';
  END IF;
  INSERT INTO relay.revocation (subject, reason) VALUES (revoke.subject, revoke.reason) RETURNING id INTO revocation;
  IF pg_notification_queue_usage() < 0.75 THEN
    PERFORM pg_notify('relay', jsonb_build_object('v', 1, 'kind', 'control', 'subject', revoke.subject)::text);
  END IF;
  RETURN revocation;
END
$function$;

-- DELETE, not TRUNCATE: payments go on meanwhile. What they write is part of the new epoch.
CREATE OR REPLACE FUNCTION relay.reset() RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
  install uuid;
BEGIN
  IF current_setting('transaction_isolation') = 'serializable' THEN
    RAISE EXCEPTION 'relay.reset was called in a serializable transaction, which could make a payment fail'
      USING ERRCODE = 'invalid_transaction_state', HINT = 'SET default_transaction_isolation = ''read committed''; then call it again.';
  END IF;
  UPDATE relay.state
     SET install_id = gen_random_uuid(), created_at = clock_timestamp(),
         horizon = '3:3:', horizon_at = NULL, horizon_witness = NULL,
         system_identifier = (SELECT c.system_identifier::text FROM pg_control_system() AS c),
         database_oid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  RETURNING install_id INTO install;
  DELETE FROM relay.event;
  DELETE FROM relay.horizon;
  DELETE FROM relay.drift_mark;
  RETURN install;
END
$function$;

REVOKE ALL ON FUNCTION relay.position(), relay.prune(interval, integer), relay.revoke(text, text), relay.reset() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION relay.prune(interval, integer) TO relay_reader;

RESET ROLE;
