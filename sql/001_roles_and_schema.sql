-- 001: roles and schema
--
-- What:  Two roles without login and the schema `relay`.
--          relay_owner   owns everything in schema relay, and nothing else.
--          relay_reader  what the daemon needs. Give it to the daemon's login role:
--                        GRANT relay_reader TO relay_daemon;
-- Why:   The capture functions run with the rights of relay_owner (SECURITY DEFINER), so that roles that
--        write payments need no right on schema relay, and so that a mistake in a capture function could
--        reach the outbox and nothing beyond it.
-- Locks: None on any table. Refuses, before it changes anything, a server or a database it cannot work in.
-- Again: Safe to run again.

DO $preconditions$
DECLARE
  culprits text;
BEGIN
  IF current_setting('server_version_num')::integer < 140000 THEN
    RAISE EXCEPTION 'payment relay needs PostgreSQL 14 or newer, this is %', current_setting('server_version')
      USING ERRCODE = 'feature_not_supported', HINT = 'Upgrade the server, or install in a newer one.';
  END IF;

  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'this server is a standby, payment relay is installed on the primary'
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Connect to the primary and run the installation there.';
  END IF;

  -- Such a publication would carry the outbox to subscribers that have no such table, which stops them, and
  -- it would refuse the DELETEs of relay.prune, because the outbox has no replica identity.
  SELECT string_agg(quote_ident(pubname), ', ' ORDER BY pubname) INTO culprits
    FROM pg_catalog.pg_publication WHERE puballtables;
  IF culprits IS NOT NULL THEN
    RAISE EXCEPTION 'publication % is FOR ALL TABLES: the outbox would break that replication', culprits
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Let it name its tables instead: CREATE PUBLICATION ... FOR TABLE a, b, c (from PostgreSQL 15'
                   ' also FOR TABLES IN SCHEMA public), point the subscription to it, drop the old one, install again.';
  END IF;

  SELECT pg_get_userbyid(nspowner) INTO culprits FROM pg_catalog.pg_namespace
   WHERE nspname = 'relay' AND pg_get_userbyid(nspowner) <> 'relay_owner';
  IF culprits IS NOT NULL THEN
    RAISE EXCEPTION 'schema relay exists already and belongs to %', culprits
      USING ERRCODE = 'duplicate_schema',
            HINT = 'If it is somebody else''s, rename it: ALTER SCHEMA relay RENAME TO relay_other. If it is an outbox that was'
                   ' restored before role relay_owner existed, its contents mean nothing here: DROP SCHEMA relay CASCADE, install'
                   ' and watch again.';
  END IF;

  SELECT string_agg(rolname::text, ', ') INTO culprits FROM pg_catalog.pg_roles
   WHERE rolname IN ('relay_owner', 'relay_reader')
     AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication);
  IF culprits IS NOT NULL THEN
    RAISE EXCEPTION 'role % exists already and is more than a plain role without login', culprits
      USING ERRCODE = 'duplicate_object',
            HINT = 'ALTER ROLE ' || culprits || ' NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION;';
  END IF;
END
$preconditions$;

DO $roles$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['relay_owner', 'relay_reader'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted);
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN
        NULL;  -- an installation in another database of this server was quicker
      WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'role % does not exist, and % may not create it', wanted, current_user
          USING ERRCODE = 'insufficient_privilege',
                HINT = format('Ask a superuser, once: CREATE ROLE relay_owner NOLOGIN; CREATE ROLE relay_reader NOLOGIN;'
                              ' GRANT relay_owner TO %1$I; GRANT relay_reader TO %1$I WITH ADMIN OPTION;', current_user);
    END;
  END LOOP;

  -- A role that may create roles is not always a member of those it created (never since PostgreSQL 16).
  IF NOT pg_has_role(current_user, 'relay_owner', 'USAGE') THEN
    BEGIN
      EXECUTE format('GRANT relay_owner TO %I', current_user);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE EXCEPTION '% is not a member of relay_owner', current_user
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('Ask a superuser, once: GRANT relay_owner TO %I;', current_user);
    END;
  END IF;
END
$roles$;

DO $schema$
BEGIN
  -- Not CREATE SCHEMA IF NOT EXISTS: that one asks for the right to create even when there is nothing to do.
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'relay') THEN
    IF NOT has_database_privilege(current_database(), 'CREATE') THEN
      RAISE EXCEPTION '% may not create a schema in database %', current_user, current_database()
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('Ask its owner: GRANT CREATE ON DATABASE %I TO %I; or let them run:'
                            ' CREATE SCHEMA relay AUTHORIZATION relay_owner;', current_database(), current_user);
    END IF;
    CREATE SCHEMA relay AUTHORIZATION relay_owner;
  END IF;
END
$schema$;

SET ROLE relay_owner;
GRANT USAGE ON SCHEMA relay TO relay_reader;
COMMENT ON SCHEMA relay IS 'Payment relay: the outbox of watched tables. See sql/README.md; sql/uninstall.sql removes it.';
RESET ROLE;
