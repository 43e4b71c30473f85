"""What libpq and Postgres say becomes one line with a remedy."""

from __future__ import annotations

import psycopg
import pytest

from relay.capture.trouble import describe_target, explain_connect

DSN = "postgresql://relay:geheim@db:5433/payments"


@pytest.mark.parametrize(
    ("said", "reason", "remedy"),
    [
        (
            'connection failed: connection to server at "10.0.0.1", port 5433 failed: Connection refused\n'
            "\tIs the server running on that host and accepting TCP/IP connections?",
            "Connection refused",
            "see whether Postgres runs there",
        ),
        (
            'connection failed: connection to server at "10.0.0.1", port 5433 failed: '
            'FATAL:  password authentication failed for user "relay"',
            'password authentication failed for user "relay"',
            "check the user and password in database.dsn",
        ),
        (
            'connection to server at "::1", port 1 failed: Connection refused\n'
            'connection to server at "127.0.0.1", port 1 failed: FATAL:  database "payments" does not exist',
            'database "payments" does not exist',
            "create that database",
        ),
        (
            "failed to resolve host 'db': Name or service not known",
            "resolve host 'db'",
            "check the host name",
        ),
        ("connection timeout expired", "connection timeout expired", "firewall"),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', "no pg_hba.conf entry", "pg_hba.conf"),
        ("FATAL:  sorry, too many clients already", "too many clients", "max_connections"),
        ("FATAL:  the database system is starting up", "starting up", "try again"),
        ("server does not support SSL, but SSL was required", "SSL was required", "sslmode"),
        ("something new", "something new", "check database.dsn"),
        ("", "no reason given", "check database.dsn"),
    ],
)
def test_a_failed_connection_names_target_reason_and_remedy(said: str, reason: str, remedy: str) -> None:
    """The line has where, why (of the last attempt) and what to do, and no password."""
    line = str(explain_connect(psycopg.OperationalError(said), DSN))
    assert line.startswith("cannot connect to relay@db:5433/payments: ")
    assert reason in line
    assert remedy in line
    assert "geheim" not in line
    assert "FATAL" not in line
    assert "\n" not in line


def test_a_target_is_described_without_its_password() -> None:
    """User, host, port and database, as far as they are given; nothing of a text that is no connection string."""
    assert describe_target(DSN) == "relay@db:5433/payments"
    assert describe_target("dbname=payments") == "localhost/payments"
    assert describe_target("geheim geheim") == "the database"
