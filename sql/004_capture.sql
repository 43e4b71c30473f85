-- 004: how a listed column becomes a value in the outbox
--
-- What:  Functions that write pieces of the text of a capture function: for each type of column the expression
--        that turns it into JSON, and the settings that have to be pinned for it. Used by 005.
-- Why:   One generated function for each table builds the row image from the listed columns alone. A generic
--        to_jsonb(NEW) would also convert the unlisted ones: a bad value there would fail the payment, a big
--        one would slow it down, and a cast somebody defined would run with the rights of relay_owner.
-- Locks: None.
-- Again: Safe to run again.

SET ROLE relay_owner;

-- A domain stands for what it is made of.
CREATE OR REPLACE FUNCTION relay.base_type(of oid) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  WITH RECURSIVE unwrapped(type, next) AS (
    SELECT t.oid, CASE WHEN t.typtype = 'd' THEN t.typbasetype END FROM pg_type AS t WHERE t.oid = $1
    UNION ALL
    SELECT t.oid, CASE WHEN t.typtype = 'd' THEN t.typbasetype END FROM unwrapped AS u JOIN pg_type AS t ON t.oid = u.next
  )
  SELECT type FROM unwrapped WHERE next IS NULL
$function$;

-- What an array is made of, else null.
CREATE OR REPLACE FUNCTION relay.element_type(of oid) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  SELECT relay.base_type(t.typelem) FROM pg_type AS t
   WHERE t.oid = relay.base_type($1) AND t.typcategory = 'A' AND t.typelem <> 0
$function$;

-- Types from 16384 on are not PostgreSQL's own. Their owner may give them a cast to json at any time, and the
-- capture function would run it with the rights of relay_owner; so they are sent as the text they print as.
CREATE OR REPLACE FUNCTION relay.capture_value(record text, name text, type oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
  value text := format('%s.%I', record, name);
BEGIN
  IF coalesce(relay.element_type(type), relay.base_type(type), 0) < 16384 THEN
    RETURN value;
  ELSIF relay.element_type(type) IS NULL THEN
    RETURN format('CASE WHEN %1$s IS DISTINCT FROM NULL THEN format(''%%s'', %1$s) END', value);
  ELSE
    -- Not FROM unnest(...): there the parts of a composite element would become columns, and all but the first be lost.
    RETURN format('CASE WHEN %1$s IS NOT NULL THEN coalesce((SELECT jsonb_agg(CASE WHEN u.e IS DISTINCT FROM NULL'
                  ' THEN format(''%%s'', u.e) END) FROM (SELECT unnest(%1$s) AS e) AS u), ''[]'') END', value);
  END IF;
END
$function$;

-- The expression that builds the image of NEW or OLD. A function takes 100 arguments, hence the pieces of 50.
CREATE OR REPLACE FUNCTION relay.capture_image(record text, columns text[], types oid[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  SELECT string_agg(format('jsonb_build_object(%s)', piece.pairs), ' || ' ORDER BY piece.number)
    FROM (SELECT (c.n - 1) / 50 AS number,
                 string_agg(format('%L, %s', c.name, relay.capture_value($1, c.name, c.type)), ', ' ORDER BY c.n) AS pairs
            FROM unnest($2, $3) WITH ORDINALITY AS c(name, type, n)
           GROUP BY 1) AS piece
$function$;

-- Settings of the writer's session that change how a value prints; pinned only if such a value is listed,
-- because each pinned setting costs every change of the table about half a microsecond.
CREATE OR REPLACE FUNCTION relay.capture_settings(types oid[]) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
  SELECT array_agg(s.setting ORDER BY s.setting)
    FROM (SELECT 'search_path=pg_catalog, pg_temp'
          UNION
          SELECT CASE WHEN l.type IN ('float4'::regtype, 'float8'::regtype) THEN 'extra_float_digits=1'
                      WHEN l.type = 'bytea'::regtype THEN 'bytea_output=hex'
                      WHEN l.type = 'interval'::regtype THEN 'IntervalStyle=postgres'
                      WHEN y.typtype IN ('r', 'm') THEN 'DateStyle=ISO, MDY' END
            FROM (SELECT coalesce(relay.element_type(t), relay.base_type(t)) AS type FROM unnest($1) AS t) AS l
            JOIN pg_type AS y ON y.oid = l.type
          UNION
          SELECT p.setting
            FROM unnest($1) AS t,
                 unnest(ARRAY['extra_float_digits=1', 'bytea_output=hex', 'IntervalStyle=postgres', 'DateStyle=ISO, MDY']) AS p(setting)
           WHERE coalesce(relay.element_type(t), relay.base_type(t)) >= 16384) AS s(setting)
   WHERE s.setting IS NOT NULL
$function$;

REVOKE ALL ON FUNCTION relay.base_type(oid), relay.element_type(oid), relay.capture_value(text, text, oid),
  relay.capture_image(text, text[], oid[]), relay.capture_settings(oid[]) FROM PUBLIC;

RESET ROLE;
