-- 008: what a DBA (and the daemon) looks at
--
-- What:  relay.capture_problems    everything that keeps capture from being whole, one row for each problem
--        relay.drift               images that could not be built, by table and reason
--        relay.watched             every watched table, with what changed since it was watched
--        relay.status              the outbox at a glance
--        relay.fingerprint()       for each watched table a text that changes whenever capture might have changed
-- Why:   A trigger that somebody disables, or a column that somebody renames, must not go unnoticed.
-- Locks: None that anybody waits for: they read the catalogs, never a watched table.
-- Again: Safe to run again. Columns are only ever added, at the end.

SET ROLE relay_owner;

-- Found from the catalogs alone, so it is known before the first change is captured badly.
CREATE OR REPLACE VIEW relay.capture_problems AS
SELECT w.relation, w.source, p.problem
  FROM relay.watch_list AS w
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = w.relation
  CROSS JOIN relay.state AS s
  CROSS JOIN LATERAL (
    SELECT 'the table is gone' WHERE c.oid IS NULL
    UNION ALL
    SELECT format('it is called %s now', relay.source_name(w.relation)) WHERE relay.source_name(w.relation) <> w.source
    UNION ALL
    SELECT format('column %I is gone', l.name) FROM unnest(w.columns) AS l(name)
     WHERE c.oid IS NOT NULL AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = w.relation AND a.attname = l.name AND NOT a.attisdropped)
    UNION ALL
    SELECT format('column %I was %s and is %s', a.attname, l.type, relay.type_name(a.atttypid))
      FROM unnest(w.columns, w.types) AS l(name, type)
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = w.relation AND a.attname = l.name AND NOT a.attisdropped
     WHERE relay.type_name(a.atttypid) <> l.type
    UNION ALL
    SELECT 'its primary key is another one, or gone'
     WHERE c.oid IS NOT NULL AND relay.primary_key(w.relation) IS DISTINCT FROM w.key_columns
    UNION ALL
    SELECT 'it is part of an inheritance tree'
     WHERE c.relispartition OR c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE w.relation IN (i.inhrelid, i.inhparent))
    UNION ALL
    SELECT format('trigger %s on %s', r.problem, r.relation)
      FROM relay.trigger_repairs(w.relation, w.source, w.capture, w.mode, w.always) AS r WHERE c.oid IS NOT NULL
    UNION ALL
    SELECT format('function relay.%I is missing or was changed', w.capture)
     WHERE NOT EXISTS (
       SELECT FROM pg_catalog.pg_proc AS f
        WHERE f.oid = to_regproc(format('relay.%I', w.capture)) AND f.prosecdef AND f.proowner = to_regrole('relay_owner')
          AND 'search_path=pg_catalog, pg_temp' = ANY (f.proconfig))
    UNION ALL
    SELECT format('its owner may not execute relay.%I, so no partition can be added', w.capture)
     WHERE c.relkind = 'p' AND NOT has_function_privilege(c.relowner, to_regproc(format('relay.%I', w.capture)), 'EXECUTE')
    UNION ALL
    SELECT 'it is fed by logical replication, and its triggers do not fire for that'
     WHERE NOT w.always AND EXISTS (
       SELECT FROM relay.watch_relations(w.relation) AS r JOIN pg_catalog.pg_subscription_rel AS f ON f.srrelid = r.relation)
    UNION ALL
    SELECT 'mode notify is silent while max_prepared_transactions is above 0'
     WHERE w.mode = 'notify' AND current_setting('max_prepared_transactions') <> '0'
  ) AS p(problem);
COMMENT ON VIEW relay.capture_problems IS 'What keeps capture of a watched table from being whole. relay.watch with the columns that exist mends most of it.';

CREATE OR REPLACE VIEW relay.drift AS
SELECT w.relation AS "table", m.source, m.reason,
       min(m.at) AS first_seen, max(m.at) AS last_seen, count(*) AS transactions
  FROM relay.drift_mark AS m LEFT JOIN relay.watch_list AS w ON w.source = m.source
 GROUP BY 1, 2, 3;
COMMENT ON VIEW relay.drift IS 'Changes that were recorded with their key only, because the image could not be built, by reason.';

CREATE OR REPLACE VIEW relay.watched AS
SELECT w.relation AS "table", w.source, w.columns, w.mode,
       t.tgname IS NOT NULL AS trigger_present,
       coalesce(t.tgenabled IN ('O', 'A'), false) AS trigger_enabled,
       ARRAY(SELECT l.name FROM unnest(w.columns) WITH ORDINALITY AS l(name, n)
              WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                                 WHERE a.attrelid = w.relation AND a.attname = l.name AND NOT a.attisdropped)
              ORDER BY l.n) AS missing_columns,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = w.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (w.columns || w.unlisted)
              ORDER BY a.attnum) AS new_columns,
       nullif(concat_ws('; ',
         (SELECT string_agg(p.problem, '; ') FROM relay.capture_problems AS p WHERE p.relation = w.relation),
         -- Capture does without, snapshots and look-ups do not. A restore without privileges loses them.
         (SELECT 'relay_reader may not use its schema' FROM pg_catalog.pg_class AS c
           WHERE c.oid = w.relation AND NOT has_schema_privilege('relay_reader', c.relnamespace, 'USAGE')),
         (SELECT format('relay_reader may not read %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum))
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = w.relation AND a.attname = ANY (w.columns) AND NOT a.attisdropped
             AND NOT has_column_privilege('relay_reader', w.relation, a.attnum, 'SELECT')
          HAVING count(*) > 0),
         (SELECT string_agg(format('%s, in %s transaction(s), last %s', d.reason, d.transactions, d.last_seen), '; ' ORDER BY d.last_seen DESC)
            FROM relay.drift AS d WHERE d.source = w.source)), '') AS drift,
       w.key_columns, w.always, w.watched_at
  FROM relay.watch_list AS w
  LEFT JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = w.relation AND t.tgname = '!relay_capture';
COMMENT ON VIEW relay.watched IS 'Every watched table. drift is null when all is well.';

CREATE OR REPLACE VIEW relay.status AS
SELECT s.schema_version, s.install_id,
       coalesce(u.n_live_tup, 0) AS outbox_rows,
       pg_total_relation_size('relay.event') AS outbox_bytes,
       (SELECT e.at FROM relay.event AS e ORDER BY e.id LIMIT 1) AS oldest_event,
       pg_notification_queue_usage() AS queue_usage,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
         WHERE a.datname = current_database() AND a.application_name = 'relay listen') AS listeners,
       current_setting('server_version') AS server_version,
       s.alarm AND current_setting('max_prepared_transactions') = '0' AS alarm,
       s.system_identifier = (SELECT c.system_identifier::text FROM pg_catalog.pg_control_system() AS c)
         AND s.database_oid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()) AS at_home,
       EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ExclusiveLock' AND l.objsubid = 1
                  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
                  AND (l.classid::bigint << 32 | l.objid::bigint) = relay.gate_key()) AS asleep,
       (SELECT count(*) FROM relay.watch_list) AS tables,
       (SELECT count(*) FROM relay.watched AS w WHERE w.drift IS NOT NULL) AS tables_with_drift,
       s.horizon_at AS pruned_to,
       (SELECT string_agg(quote_ident(p.pubname), ', ') FROM pg_catalog.pg_publication AS p WHERE p.puballtables) AS all_tables_publications
  FROM relay.state AS s
  LEFT JOIN pg_catalog.pg_stat_user_tables AS u ON u.relid = 'relay.event'::regclass;
COMMENT ON VIEW relay.status IS 'The outbox at a glance, one row.';

-- xmin tells that a catalog row was written anew: a trigger switched off and on again within one transaction
-- leaves no other trace. relfilenode changes with TRUNCATE, inheritance with ATTACH and DETACH PARTITION.
CREATE OR REPLACE FUNCTION relay.fingerprint() RETURNS TABLE (source text, whole boolean, reason text, fingerprint text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  SELECT w.source, p.reason IS NULL, p.reason,
         encode(sha256(convert_to(concat_ws(' ', w.relation::oid, w.source, relay.source_name(w.relation), w.watched_at, f.parts, a.parts, p.reason), 'UTF8')), 'hex')
    FROM relay.watch_list AS w,
         LATERAL (SELECT string_agg(x.problem, '; ') AS reason FROM relay.capture_problems AS x WHERE x.relation = w.relation) AS p,
         LATERAL (SELECT string_agg(concat_ws(':', r.relation, c.relfilenode, t.tgname, t.oid, t.xmin, t.tgenabled, o.xmin), ' ' ORDER BY r.relation, t.tgname) AS parts
                    FROM relay.watch_relations(w.relation) AS r
                    JOIN pg_class AS c ON c.oid = r.relation
                    LEFT JOIN pg_trigger AS t ON t.tgrelid = r.relation AND t.tgname IN ('!relay_capture', '!relay_truncate')
                    LEFT JOIN pg_proc AS o ON o.oid = t.tgfoid) AS f,
         LATERAL (SELECT string_agg(concat_ws(':', t.attnum, t.attname, t.atttypid, t.atttypmod), ' ' ORDER BY t.attnum) AS parts
                    FROM pg_attribute AS t
                   WHERE t.attrelid = w.relation AND t.attname = ANY (w.columns) AND NOT t.attisdropped) AS a
   ORDER BY w.source
$function$;

REVOKE ALL ON FUNCTION relay.fingerprint() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION relay.fingerprint(), relay.watch_relations(regclass), relay.source_name(regclass), relay.primary_key(regclass), relay.type_name(oid),
  relay.trigger_repairs(regclass, text, text, text, boolean) TO relay_reader;
GRANT SELECT ON relay.capture_problems, relay.drift, relay.watched, relay.status TO relay_reader;

RESET ROLE;
