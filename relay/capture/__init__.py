"""From Postgres: listen, wake, read the outbox exactly, know the schema."""
