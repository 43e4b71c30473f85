-- uninstall: removes everything the relay has in this database
--
-- What:  Triggers from the watched tables, the grants to relay_reader, schema relay with the outbox. At the end the
--        two roles, if no other database of this server uses them.
-- Why:   Not numbered, so that an installation never runs it.
-- Locks: ACCESS EXCLUSIVE on each watched table for a moment (DROP TRIGGER). Gives up after 2 s if a table is busy:
--        then nothing has been undone that matters, and it can be run again.
-- Again: Safe to run again.
--
-- DROP SCHEMA relay CASCADE alone does no harm to writers either, but waits for busy tables without a limit.

DO $triggers$
DECLARE
  entry record;
BEGIN
  IF to_regclass('relay.watch_list') IS NOT NULL THEN
    FOR entry IN SELECT w.relation FROM relay.watch_list AS w ORDER BY w.source LOOP
      PERFORM relay.unwatch(entry.relation);
    END LOOP;
  END IF;
END
$triggers$;

SET lock_timeout = '2s';
DROP SCHEMA IF EXISTS relay CASCADE;
RESET lock_timeout;

DO $roles$
DECLARE
  gone text;
BEGIN
  FOREACH gone IN ARRAY ARRAY['relay_reader', 'relay_owner'] LOOP
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = gone) THEN
      BEGIN
        EXECUTE format('DROP OWNED BY %I', gone);
        EXECUTE format('DROP ROLE %I', gone);
      EXCEPTION
        WHEN dependent_objects_still_exist THEN
          RAISE NOTICE 'role % stays: another database of this server uses it', gone;
        WHEN insufficient_privilege THEN
          RAISE NOTICE 'role % stays: % may not drop it', gone, current_user;
      END;
    END IF;
  END LOOP;
END
$roles$;
