"""The relay's SQL as Django migrations, for teams whose every change of the database is a migration."""
