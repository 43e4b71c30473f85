-- Four roles, made once for each server by a superuser. The passwords are examples.

-- Runs the migrations, owns the payment tables, and here is what the application connects as, too.
CREATE ROLE django LOGIN PASSWORD 'django';

-- Whom the relay connects as. It can read the outbox and the columns that are watched, and nothing else.
CREATE ROLE relay_daemon LOGIN PASSWORD 'relay';

-- Owns the outbox. Whoever is a member of it may install and watch, so an ordinary owner of tables can do all that
-- follows without being a superuser.
CREATE ROLE relay_owner NOLOGIN;
GRANT relay_owner TO django;

-- Reads the outbox.
CREATE ROLE relay_reader NOLOGIN;
GRANT relay_reader TO django WITH ADMIN OPTION;
GRANT relay_reader TO relay_daemon;
