"""What went wrong with Postgres, said in one line with a remedy, and never with a password or a row in it."""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from relay.errors import DatabaseError, DatabaseUnreachable, SchemaMismatch

__all__ = ["describe_target", "explain_connect", "explain_statement"]

#: What libpq and the server say (their sqlstate does not reach the client while connecting) -> what to do.
_REMEDIES = (
    (r"password|SCRAM|authentication failed", "check the user and password in {origin}"),
    (r'database ".*" does not exist', "create that database or correct its name in {origin}"),
    (r'role ".*" does not exist', "create that role or correct the user in {origin}"),
    (
        r"refused|No such file or directory",
        "see whether Postgres runs there, and check host and port in {origin}",
    ),
    (r"resolve|translate host|not known|getaddrinfo", "check the host name in {origin}"),
    (r"timeout|timed out|unreachable|No route", "check host, port and firewall, or the address in {origin}"),
    (r"pg_hba\.conf", "add a line for this client to the server's pg_hba.conf"),
    (r"too many clients|connection slots", "close other sessions or raise max_connections"),
    (r"starting up|shutting down|recovery mode", "try again when the server is up"),
    (r"SSL|certificate", "check sslmode and the certificates in {origin}"),
)


def describe_target(dsn: str) -> str:
    """Who connects where, as ``user@host:port/database``; what the DSN leaves to libpq is left out."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the database"
    user, host, port, name = (parts.get(key) for key in ("user", "host", "port", "dbname"))
    where = f"{host or 'localhost'}{f':{port}' if port else ''}"
    return f"{f'{user}@' if user else ''}{where}{f'/{name}' if name else ''}"


def explain_connect(error: psycopg.Error, dsn: str, origin: str = "database.dsn") -> DatabaseUnreachable:
    """Why no connection could be made. ``origin`` names the setting or option that ``dsn`` came from."""
    text = str(error)
    if isinstance(error, psycopg.ProgrammingError):
        # libpq quotes what it did not understand, which may be the password; only a wrong option's name is
        # safe.
        option = re.search(r'invalid (?:connection|URI query parameter)[^"]*"(\w{1,40})"', text)
        why = f' (there is no option "{option[1]}")' if option else ""
        return DatabaseUnreachable(
            f"{origin} is not a connection string{why}; write postgresql://user@host:5432/database"
        )
    reason = _last_reason(text)
    remedy = next(
        (does for said, does in _REMEDIES if re.search(said, reason, re.IGNORECASE)), "check {origin}"
    )
    return DatabaseUnreachable(
        f"cannot connect to {describe_target(dsn)}: {reason}; {remedy.format(origin=origin)}"
    )


def _last_reason(text: str) -> str:
    """The last attempt's reason: psycopg lists every address it tried, each behind where it went."""
    lines = [
        line.strip()
        for line in text.splitlines()
        if line.strip() and not line.startswith(("\t", "Is the server"))
    ]
    attempts = [line for line in lines if "failed" in line or "FATAL" in line or "expired" in line] or lines
    reason = attempts[-1] if attempts else "no reason given"
    return re.sub(
        r"^.*?(?:FATAL|failed):\s+(?=\S)(?:FATAL:\s+)?", "", re.sub(r"^.*(?=FATAL:)", "", reason)
    ).rstrip(".")


def explain_statement(error: psycopg.Error, doing: str) -> DatabaseError:
    """Why ``doing`` ("002_outbox.sql") failed: Postgres's own message, and its hint where it has one."""
    missing = (
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
    )
    message = error.diag.message_primary or _last_reason(str(error))
    if isinstance(error, missing) and re.search(r'"?\brelay\b"?', message):
        return SchemaMismatch(
            f"{doing} failed: {message}; schema relay is absent or older, run: relay install --apply"
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege) and re.search(
        r"schema relay|relay\.", message
    ):
        return DatabaseError(
            f"{doing} failed: {message}; a member of relay_reader may: GRANT relay_reader TO …"
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return DatabaseError(f"{doing} failed: {message}; connect to the primary, with a role that may write")
    hint = error.diag.message_hint or "see the server's log for more"
    return DatabaseError(f"{doing} failed: {message}; {hint}")
