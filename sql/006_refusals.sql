-- 006: what can be watched, and what not
--
-- What:  relay.refuse_watch(...)        every reason why a table cannot be watched, each with its remedy
--        relay.watch_relations(table)    the table and, if it is partitioned, everything below it
--        relay.primary_key(table), relay.source_name(table), relay.type_name(type)
-- Why:   A table that could only be captured with gaps is refused at once, not found out later.
-- Locks: None.
-- Again: Safe to run again.

SET ROLE relay_owner;

-- Reads pg_inherits instead of calling pg_partition_tree, which waits for partitions that are locked. None of them
-- is a foreign table: PostgreSQL allows no primary key over those.
-- ROWS here and below: with the thousand that PostgreSQL assumes, a look at relay.watched seems so dear that it is
-- compiled first (jit), for seconds.
CREATE OR REPLACE FUNCTION relay.watch_relations("table" regclass) RETURNS TABLE (relation oid, depth integer)
LANGUAGE sql STABLE ROWS 4 SET search_path = pg_catalog, pg_temp
AS $function$
  WITH RECURSIVE tree(relation, depth) AS (
    SELECT "table"::oid, 0
    UNION ALL
    SELECT i.inhrelid, t.depth + 1 FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.relation AND NOT i.inhdetachpending
  )
  SELECT c.oid, t.depth FROM tree AS t JOIN pg_class AS c ON c.oid = t.relation WHERE t.depth = 0 OR c.relispartition
$function$;

CREATE OR REPLACE FUNCTION relay.primary_key("table" regclass) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  SELECT array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
   WHERE i.indrelid = "table" AND i.indisprimary
$function$;

CREATE OR REPLACE FUNCTION relay.source_name("table" regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = "table"
$function$;

-- The name alone, without a length: varchar(20) made varchar(50) is no other type. With the schema, whatever
-- the search_path of the one who asks.
CREATE OR REPLACE FUNCTION relay.type_name(of oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$ SELECT format_type($1, NULL) $function$;

CREATE OR REPLACE FUNCTION relay.refuse_watch("table" regclass, columns text[], mode text, always boolean) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
  class pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = "table");
  culprits text;
  message text;
  hint text;
  code text := 'object_not_in_prerequisite_state';
BEGIN
  IF "table" IS NULL OR class.oid IS NULL THEN
    message := 'there is no such table';
    hint := 'Give it as ''schema.table'', in double quotes inside if its name has capitals.';
    code := 'undefined_table';
  ELSIF mode IS NULL OR mode NOT IN ('outbox', 'notify') THEN
    message := format('mode %L is unknown', mode);
    hint := 'mode is ''outbox'' (nothing is lost) or ''notify'' (no outbox row, at most once).';
    code := 'invalid_parameter_value';
  ELSIF columns IS NULL OR array_position(columns, NULL) IS NOT NULL THEN
    message := 'columns is null or has a null in it';
    hint := 'List the columns the relay may see: ARRAY[''id'', ''status'']; the primary key is always among them.';
    code := 'invalid_parameter_value';
  ELSIF class.relpersistence = 't' OR class.relnamespace IN ('pg_catalog'::regnamespace, 'relay'::regnamespace) THEN
    message := 'it is a temporary, system or relay table';
    hint := 'Only lasting tables of an application can be watched.';
    code := 'wrong_object_type';
  ELSIF class.relispartition THEN
    message := 'it is a partition';
    hint := format('Watch the partitioned table instead: %s.',
                   (WITH RECURSIVE up(relation) AS (SELECT class.oid UNION ALL
                      SELECT i.inhparent FROM up JOIN pg_inherits AS i ON i.inhrelid = up.relation)
                    SELECT up.relation::regclass FROM up JOIN pg_class AS c ON c.oid = up.relation WHERE NOT c.relispartition));
    code := 'wrong_object_type';
  ELSIF class.relkind NOT IN ('r', 'p') THEN
    message := 'it is not a table';
    hint := 'Watch the tables beneath a view; changes of a foreign table happen on another server.';
    code := 'wrong_object_type';
  ELSIF EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = class.oid OR i.inhparent = class.oid AND class.relkind = 'r') THEN
    message := 'it is part of an inheritance tree';
    hint := 'Triggers do not pass on to child tables. Make it a partitioned table (PARTITION BY), or end the inheritance: ALTER TABLE child NO INHERIT parent.';
    code := 'wrong_object_type';
  ELSIF NOT pg_has_role(current_user, class.relowner, 'USAGE') THEN
    message := format('%s does not own it', current_user);
    hint := format('Call relay.watch as %s, which has to be a member of relay_owner, or as a superuser.', quote_ident(pg_get_userbyid(class.relowner)));
    code := 'insufficient_privilege';
  ELSIF relay.primary_key("table") IS NULL THEN
    message := 'it has no primary key';
    hint := format('Add one: ALTER TABLE %s ADD PRIMARY KEY (...). Without it nobody can say which row changed.', "table");
  END IF;

  IF message IS NULL THEN
    SELECT string_agg(quote_ident(l.name), ', ') INTO culprits FROM unnest(columns) AS l(name)
     WHERE NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = l.name AND a.attnum > 0 AND NOT a.attisdropped);
    IF culprits IS NOT NULL THEN
      message := format('it has no column %s', culprits);
      hint := format('It has: %s.', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a
                                      WHERE a.attrelid = "table" AND a.attnum > 0 AND NOT a.attisdropped));
      code := 'undefined_column';
    END IF;
  END IF;

  IF message IS NULL THEN
    SELECT string_agg(quote_ident(a.attname), ', ') INTO culprits FROM pg_attribute AS a
     WHERE a.attrelid = "table" AND a.attname = ANY (columns) AND a.attgenerated = 'v' AND NOT a.attisdropped;
    IF culprits IS NOT NULL THEN
      message := format('column %s is a virtual generated column', culprits);
      hint := 'A trigger does not see its value. List the columns it is made of, or make it GENERATED ALWAYS AS (...) STORED.';
      code := 'feature_not_supported';
    END IF;
  END IF;

  IF message IS NULL AND NOT always THEN
    SELECT string_agg(DISTINCT quote_ident(s.subname), ', ') INTO culprits
      FROM relay.watch_relations("table") AS r JOIN pg_subscription_rel AS f ON f.srrelid = r.relation JOIN pg_subscription AS s ON s.oid = f.srsubid;
    IF culprits IS NOT NULL THEN
      message := format('it is fed by logical replication (subscription %s)', culprits);
      hint := 'Ordinary triggers do not fire for replicated changes. Watch it on the publisher, or here with triggers that always fire: relay.watch(..., always => true).';
    END IF;
  END IF;

  IF message IS NULL AND mode = 'notify' AND current_setting('max_prepared_transactions') <> '0' THEN
    message := 'mode notify cannot work while max_prepared_transactions is above 0';
    hint := 'PREPARE TRANSACTION fails in a transaction that notified. Use mode ''outbox'', or set max_prepared_transactions = 0.';
  END IF;

  IF message IS NULL THEN
    -- The rights that every server grants to PUBLIC, unless it was hardened; without them payments would fail.
    SELECT string_agg(f.name, ', ') INTO culprits
      FROM unnest(ARRAY['pg_try_advisory_xact_lock_shared(bigint)', 'pg_notify(text, text)', 'pg_notification_queue_usage()', 'set_config(text, text, boolean)']) AS f(name)
     WHERE NOT has_function_privilege('relay_owner', f.name, 'EXECUTE');
    IF culprits IS NOT NULL THEN
      message := format('relay_owner may not execute %s', culprits);
      hint := format('GRANT EXECUTE ON FUNCTION %s TO relay_owner;', culprits);
      code := 'insufficient_privilege';
    END IF;
  END IF;

  IF message IS NOT NULL THEN
    RAISE EXCEPTION 'cannot watch %: %', coalesce("table"::text, 'null'), message USING ERRCODE = code, HINT = hint;
  END IF;
END
$function$;

REVOKE ALL ON FUNCTION relay.watch_relations(regclass), relay.primary_key(regclass), relay.source_name(regclass), relay.type_name(oid),
  relay.refuse_watch(regclass, text[], text, boolean) FROM PUBLIC;

RESET ROLE;
