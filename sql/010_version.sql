-- 010: finish
--
-- What:  Writes the capture functions of watched tables anew where a newer version writes them differently, or
--        where max_prepared_transactions changed; then stores the version. Always the last file.
-- Why:   relay.state says whether the capture functions NOTIFY; it must not say so before they do.
-- Locks: None on business tables. Takes the lock that relay.watch takes, for a moment.
-- Again: Safe to run again.

SET ROLE relay_owner;

DO $finish$
BEGIN
  PERFORM pg_advisory_xact_lock(relay.gate_key() + 1);
  UPDATE relay.state SET alarm = current_setting('max_prepared_transactions') = '0', schema_version = 1
   WHERE (alarm, schema_version) IS DISTINCT FROM (current_setting('max_prepared_transactions') = '0', 1);
  PERFORM relay.define_capture(w.relation) FROM relay.watch_list AS w;
END
$finish$;

RESET ROLE;
