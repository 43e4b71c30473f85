-- 007: watch and unwatch
--
-- What:  relay.watch(table, columns, mode, always)  captures the changes of a table from now on:
--          answers 'watching' (new), 'changed' or 'unchanged'
--        relay.unwatch(table)  stops it: true if it was watched
-- Why:   One call states what is wanted (the whole list of columns, not a difference) and may be repeated at
--        will; it also mends what was broken since: a dropped or disabled trigger, a partition without one.
-- Locks: watch takes SHARE ROW EXCLUSIVE on the table (and its partitions) to create a trigger: it waits for
--        running writers, and new ones wait behind it. unwatch takes ACCESS EXCLUSIVE for a moment, as DROP
--        TRIGGER does. Both give up after 2 s: "busy, try again". Other columns, or nothing new, take no lock.
--        A lock is held until the transaction ends, so use one transaction for each table.
-- Again: Safe to run again, the file and the functions.

SET ROLE relay_owner;

-- What is wrong with the triggers of a watched table, and the statement that mends it, in the order to run
-- them. The row trigger is cloned to partitions by PostgreSQL, also to later ones; a TRUNCATE trigger is not.
-- No WHEN and no UPDATE OF: a column dropped with CASCADE, as Django does, would take such a trigger with it,
-- in silence. "!" sorts before letters, digits and the triggers of foreign keys: another AFTER trigger that
-- writes to the same row must not have its change recorded before ours.
CREATE OR REPLACE FUNCTION relay.trigger_repairs("table" regclass, source text, capture text, mode text, always boolean)
RETURNS TABLE (relation regclass, problem text, statement text)
LANGUAGE sql STABLE ROWS 4 SET search_path = pg_catalog, pg_temp
AS $function$
  WITH wanted AS (
    SELECT r.relation, r.depth, k.*
      FROM relay.watch_relations("table") AS r,
           LATERAL (VALUES
             ('!relay_capture', 1 + 4 + 8 + 16, to_regproc(format('relay.%I', capture))::oid,
              convert_to(source, getdatabaseencoding()) || decode('00', 'hex'),
              format('AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION relay.%I(%L)',
                     r.relation::regclass, capture, source)),
             ('!relay_truncate', 32, to_regproc('relay.capture_truncate')::oid,
              convert_to(source, getdatabaseencoding()) || decode('00', 'hex') || convert_to(mode, getdatabaseencoding()) || decode('00', 'hex'),
              format('AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION relay.capture_truncate(%L, %L)',
                     r.relation::regclass, source, mode))
           ) AS k(name, type, proc, arguments, definition)
  ), found AS (
    SELECT w.*, t.tgenabled, t.oid IS NULL AS missing,
           t.tgfoid = w.proc AND t.tgtype = w.type AND t.tgargs = w.arguments AND t.tgqual IS NULL AND t.tgattr::text = '' AS whole
      FROM wanted AS w LEFT JOIN pg_trigger AS t ON t.tgrelid = w.relation AND t.tgname = w.name
  )
  SELECT f.relation::regclass, format('%I %s', f.name, r.problem), r.statement
    FROM found AS f,
         LATERAL (VALUES
           (1, f.missing, 'is missing', format('CREATE OR REPLACE TRIGGER %I %s', f.name, f.definition)),
           (1, NOT f.whole, 'was changed', format('CREATE OR REPLACE TRIGGER %I %s', f.name, f.definition)),
           (2, f.tgenabled <> CASE WHEN always THEN 'A' ELSE 'O' END OR always AND f.whole IS NOT TRUE,
            CASE WHEN f.tgenabled = 'D' THEN 'is disabled' ELSE 'fires at the wrong times' END,
            format('ALTER TABLE %s ENABLE %s TRIGGER %I', f.relation::regclass, CASE WHEN always THEN 'ALWAYS' ELSE '' END, f.name))
         ) AS r(step, applies, problem, statement)
   -- A clone follows the trigger it was cloned from, so only whether it is enabled can be mended on its own.
   WHERE r.applies AND (r.step = 2 OR f.depth = 0 OR f.name = '!relay_truncate')
   ORDER BY r.step, f.depth, f.relation
$function$;

CREATE OR REPLACE FUNCTION relay.watch("table" regclass, columns text[], mode text DEFAULT 'outbox', always boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
AS $function$
#variable_conflict use_column
DECLARE
  entry relay.watch_list;
  known relay.watch_list;
  repair record;
  col text;
  answer text := 'unchanged';
BEGIN
  PERFORM relay.refuse_watch(watch.table, watch.columns, watch.mode, watch.always);
  PERFORM pg_advisory_xact_lock(relay.gate_key() + 1);  -- one at a time: two would write the same function

  SELECT w.* INTO known FROM relay.watch_list AS w WHERE w.relation = watch.table;
  entry.relation := watch.table;
  entry.source := relay.source_name(watch.table);
  entry.mode := watch.mode;
  entry.always := watch.always;
  entry.key_columns := relay.primary_key(watch.table);
  SELECT array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.listed),
         array_agg(a.type ORDER BY a.attnum) FILTER (WHERE a.listed),
         coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE NOT a.listed), '{}')
    INTO entry.columns, entry.types, entry.unlisted
    FROM (SELECT p.attnum, p.attname, relay.type_name(p.atttypid) AS type,
                 p.attname = ANY (watch.columns) OR p.attname = ANY (entry.key_columns) AS listed
            FROM pg_attribute AS p WHERE p.attrelid = watch.table AND p.attnum > 0 AND NOT p.attisdropped) AS a;
  entry.capture := format('capture_%s_%s', left(regexp_replace(lower(entry.source), '[^a-z0-9]+', '_', 'g'), 40),
                          left(encode(sha256(convert_to(entry.source, 'UTF8')), 'hex'), 8));

  -- A table dropped and created again has the same name and another identity.
  DELETE FROM relay.watch_list AS w
   WHERE w.source = entry.source AND w.relation <> watch.table AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = w.relation);
  SELECT w.relation::text INTO col FROM relay.watch_list AS w WHERE w.source = entry.source AND w.relation <> watch.table;
  IF FOUND THEN
    RAISE EXCEPTION 'cannot watch %: %, watched before, was called so then', watch.table, col
      USING ERRCODE = 'duplicate_table', HINT = format('First: SELECT relay.unwatch(%L); or watch it anew under its new name.', col);
  END IF;

  IF known.relation IS NULL THEN
    INSERT INTO relay.watch_list SELECT (r).* FROM (SELECT ROW(entry.relation, entry.source, entry.mode, entry.always, entry.key_columns,
      entry.columns, entry.types, entry.unlisted, entry.capture, clock_timestamp())::relay.watch_list) AS n(r);
    answer := 'watching';
  ELSE
    UPDATE relay.watch_list AS w
       SET source = entry.source, mode = entry.mode, always = entry.always, key_columns = entry.key_columns, columns = entry.columns,
           types = entry.types, unlisted = entry.unlisted, capture = entry.capture, watched_at = clock_timestamp()
     WHERE w.relation = watch.table
       AND (w.source, w.mode, w.always, w.key_columns, w.columns, w.types, w.unlisted, w.capture) IS DISTINCT FROM
           (entry.source, entry.mode, entry.always, entry.key_columns, entry.columns, entry.types, entry.unlisted, entry.capture);
    IF FOUND THEN
      answer := 'changed';
    END IF;
  END IF;

  IF relay.define_capture(watch.table, known.types <> entry.types) AND answer = 'unchanged' THEN
    answer := 'changed';
  END IF;
  -- Whoever attaches a partition later clones the trigger, and needs the right to; that is the table's owner.
  SELECT quote_ident(pg_get_userbyid(c.relowner)) INTO col FROM pg_class AS c
   WHERE c.oid = watch.table AND NOT has_function_privilege(c.relowner, format('relay.%I()', entry.capture), 'EXECUTE');
  IF FOUND THEN
    EXECUTE format('GRANT EXECUTE ON FUNCTION relay.%I() TO %s', entry.capture, col);
    answer := CASE WHEN answer = 'unchanged' THEN 'changed' ELSE answer END;
  END IF;

  FOR repair IN SELECT r.* FROM relay.trigger_repairs(watch.table, entry.source, entry.capture, entry.mode, entry.always) AS r LOOP
    EXECUTE repair.statement;
    answer := CASE WHEN answer = 'unchanged' THEN 'changed' ELSE answer END;
  END LOOP;
  IF known.capture <> entry.capture THEN
    EXECUTE format('DROP FUNCTION IF EXISTS relay.%I()', known.capture);
  END IF;

  -- The daemon reads these columns for snapshots. It may look at nothing else.
  FOREACH col IN ARRAY entry.columns LOOP
    IF NOT has_column_privilege('relay_reader', watch.table::oid, col, 'SELECT') THEN
      EXECUTE format('GRANT SELECT (%I) ON TABLE %s TO relay_reader', col, watch.table);
    END IF;
  END LOOP;
  FOR col IN SELECT unnest(known.columns) INTERSECT SELECT unnest(entry.unlisted) LOOP
    EXECUTE format('REVOKE SELECT (%I) ON TABLE %s FROM relay_reader', col, watch.table);
  END LOOP;
  SELECT quote_ident(n.nspname) INTO col FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.oid = watch.table AND NOT has_schema_privilege('relay_reader', n.oid, 'USAGE');
  IF FOUND THEN
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO relay_reader', col);
  END IF;

  -- Whoever calls this has seen them; if the cause is still there, they come again.
  DELETE FROM relay.drift_mark AS m WHERE m.source IN (entry.source, known.source);
  RETURN answer;
EXCEPTION WHEN lock_not_available THEN
  RAISE EXCEPTION '% is busy, try again: a transaction that has used it is still open', watch.table
    USING ERRCODE = 'lock_not_available',
          HINT = format('SELECT pid, state, xact_start, query FROM pg_stat_activity WHERE pid IN (SELECT pid FROM pg_locks WHERE relation = %L::regclass);', watch.table);
END
$function$;

-- A table that was dropped has only its number left: SELECT relay.unwatch("table") FROM relay.watched WHERE source = '...'
CREATE OR REPLACE FUNCTION relay.unwatch("table" regclass) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
AS $function$
#variable_conflict use_column
DECLARE
  known relay.watch_list;
  leftover record;
  col text;
BEGIN
  PERFORM pg_advisory_xact_lock(relay.gate_key() + 1);
  SELECT w.* INTO known FROM relay.watch_list AS w WHERE w.relation = unwatch.table;
  IF NOT FOUND THEN
    RETURN false;
  END IF;

  -- Found by function and source, not by walking the partitions: one that was detached keeps its TRUNCATE trigger.
  FOR leftover IN
    SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_trigger AS t
     WHERE t.tgparentid = 0 AND (t.tgfoid = to_regproc(format('relay.%I', known.capture))::oid
        OR t.tgfoid = to_regproc('relay.capture_truncate')::oid
           AND t.tgargs = convert_to(known.source, getdatabaseencoding()) || decode('00', 'hex') || convert_to(known.mode, getdatabaseencoding()) || decode('00', 'hex'))
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', leftover.tgname, leftover.relation);
  END LOOP;
  EXECUTE format('DROP FUNCTION IF EXISTS relay.%I()', known.capture);

  FOR col IN SELECT quote_ident(a.attname) FROM pg_attribute AS a
              WHERE a.attrelid = unwatch.table AND a.attname = ANY (known.columns) AND a.attnum > 0 AND NOT a.attisdropped LOOP
    EXECUTE format('REVOKE SELECT (%s) ON TABLE %s FROM relay_reader', col, unwatch.table);
  END LOOP;
  DELETE FROM relay.drift_mark AS m WHERE m.source = known.source;
  DELETE FROM relay.watch_list AS w WHERE w.relation = unwatch.table;
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RAISE EXCEPTION '% is busy, try again: a transaction that has used it is still open', unwatch.table
    USING ERRCODE = 'lock_not_available',
          HINT = format('SELECT pid, state, xact_start, query FROM pg_stat_activity WHERE pid IN (SELECT pid FROM pg_locks WHERE relation = %L::regclass);', unwatch.table);
END
$function$;

REVOKE ALL ON FUNCTION relay.trigger_repairs(regclass, text, text, text, boolean), relay.watch(regclass, text[], text, boolean),
  relay.unwatch(regclass) FROM PUBLIC;

RESET ROLE;
