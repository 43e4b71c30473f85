"""What pgbench prints is read exactly, or refused."""

import pytest

from bench.pgbench import Outcome, environment, parse

OUTPUT = """pgbench (PostgreSQL) 18.6
transaction type: script.sql
scaling factor: 1
query mode: prepared
number of clients: 32
number of threads: 2
maximum number of tries: 1
duration: 3 s
number of transactions actually processed: 38309
number of failed transactions: 0 (0.000%)
latency average = 2.310 ms
initial connection time = 249.815 ms
tps = 13853.820478 (without initial connection time)
"""


def test_a_summary_is_read() -> None:
    """Rate, transactions, failures and latency come from the lines that name them."""
    assert parse(OUTPUT) == Outcome(tps=13853.820478, transactions=38309, failed=0, latency_ms=2.310)


def test_failed_transactions_are_seen() -> None:
    """A run whose transactions failed says so."""
    assert parse(OUTPUT.replace("failed transactions: 0", "failed transactions: 17")).failed == 17


def test_version_14_prints_no_failures() -> None:
    """PostgreSQL 14 has no line for failures, which means that there were none."""
    lines = [line for line in OUTPUT.splitlines() if "failed" not in line]
    assert parse("\n".join(lines)).failed == 0


@pytest.mark.parametrize("lost", ["tps", "number of transactions actually", "latency average"])
def test_a_missing_line_is_an_error(lost: str) -> None:
    """Without one of its numbers a summary is refused, and the end of it is quoted."""
    lines = [line for line in OUTPUT.splitlines() if not line.startswith(lost)]
    with pytest.raises(ValueError, match="pgbench did not print"):
        parse("\n".join(lines))


def test_a_dsn_becomes_variables() -> None:
    """The password travels in the environment, where other users cannot see it."""
    assert environment("postgresql://shop:secret@127.0.0.1:5433/payments") == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "5433",
        "PGUSER": "shop",
        "PGPASSWORD": "secret",
        "PGDATABASE": "payments",
    }
