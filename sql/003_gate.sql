-- 003: the gate, which keeps NOTIFY out of the way of writers
--
-- What:  relay.gate_key()      the published advisory lock key, K
--        relay.request_gate()  the relay asks for K before it sleeps: true when it has it
--        relay.release_gate()  the relay gives K back when it wakes: true when it had it
--        relay.wake()          rings the alarm; called by capture functions
-- Why:   A transaction that NOTIFYs takes one lock of the whole server at commit and holds it while its WAL is
--        flushed, so that notifying commits queue. Writers therefore try to share K, which costs next to
--        nothing, and NOTIFY only if they cannot: when a relay holds it, or waits for it, because it sleeps.
--        With no relay running K is free and nobody notifies.
-- Locks: Advisory lock K only. It means nothing to any table.
-- Again: Safe to run again.

SET ROLE relay_owner;

-- A random number, published so that a DBA recognises it in pg_locks. It is also written into every capture
-- function: calling a function for it would cost each payment more than the lock itself.
CREATE OR REPLACE FUNCTION relay.gate_key() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$ SELECT 6833933343440256733::bigint $function$;

CREATE OR REPLACE FUNCTION relay.holds_gate() RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
  SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l
     WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.granted AND l.mode = 'ExclusiveLock'
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
       AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = relay.gate_key())
$function$;

-- 900 ms: below deadlock_timeout, so that log_lock_waits stays silent, and no snapshot is held for long.
-- Asking again while holding it changes nothing, so a caller that lost the answer may simply ask again.
CREATE OR REPLACE FUNCTION relay.request_gate() RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '900ms'
AS $function$
BEGIN
  -- Where writers may not NOTIFY, a relay that slept would not be woken: it is never let in.
  IF current_setting('max_prepared_transactions') <> '0' OR NOT (SELECT s.alarm FROM relay.state AS s) THEN
    RETURN false;
  END IF;
  IF relay.holds_gate() THEN
    RETURN true;
  END IF;
  PERFORM pg_advisory_lock(relay.gate_key());
  RETURN true;
EXCEPTION WHEN lock_not_available OR query_canceled THEN
  -- A session lock outlives the rollback of this block: a cancel may strike just after it was granted.
  RETURN relay.holds_gate();
END
$function$;

CREATE OR REPLACE FUNCTION relay.release_gate() RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
  held boolean := false;
BEGIN
  -- Looking first avoids the warning that unlocking an unheld lock leaves in the server log.
  WHILE relay.holds_gate() LOOP
    held := pg_advisory_unlock(relay.gate_key());
  END LOOP;
  RETURN held;
END
$function$;

-- Only reached while a relay sleeps, so it can afford to be careful: a NOTIFY must not make a commit fail. In
-- a transaction that is going to be prepared it would, and so it would with a full notification queue (some
-- other listener has been stuck for days). Silence is safe: the relay also polls every few seconds.
CREATE OR REPLACE FUNCTION relay.wake() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
  IF current_setting('max_prepared_transactions') = '0' AND pg_notification_queue_usage() < 0.75 THEN
    PERFORM pg_notify('relay', '{"v":1,"kind":"wake"}');
  END IF;
END
$function$;

REVOKE ALL ON FUNCTION relay.gate_key(), relay.holds_gate(), relay.request_gate(), relay.release_gate(), relay.wake() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION relay.gate_key(), relay.holds_gate(), relay.request_gate(), relay.release_gate() TO relay_reader;

RESET ROLE;
