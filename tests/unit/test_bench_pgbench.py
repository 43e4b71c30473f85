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


PROGRESS = """pgbench (PostgreSQL) 18.6
progress: 1.0 s, 7032.2 tps, lat 4.316 ms stddev 3.217, 0 failed
progress: 2.0 s, 9000.0 tps, lat 3.459 ms stddev 1.119, 0 failed
progress: 3.0 s, 11000.0 tps, lat 3.448 ms stddev 1.012, 0 failed
"""


def test_a_run_is_read_without_its_first_second() -> None:
    """The rate is that of the seconds after the first; transactions are all of them."""
    assert parse(OUTPUT, PROGRESS) == Outcome(tps=10000.0, transactions=38309, failed=0)


def test_failed_transactions_are_seen() -> None:
    """A run whose transactions failed says so."""
    assert parse(OUTPUT.replace("failed transactions: 0", "failed transactions: 17"), PROGRESS).failed == 17


def test_version_14_prints_no_failures() -> None:
    """PostgreSQL 14 has no line for failures, which means that there were none."""
    lines = [line for line in OUTPUT.splitlines() if "failed" not in line]
    assert parse("\n".join(lines), PROGRESS).failed == 0


def test_a_missing_summary_is_an_error() -> None:
    """Without the number of transactions a summary is refused, and the end of it is quoted."""
    with pytest.raises(
        ValueError, match="did not print the number of transactions actually processed: nothing"
    ):
        parse("", PROGRESS)


def test_a_run_that_never_got_warm_is_an_error() -> None:
    """A single second of progress is the one that does not count."""
    with pytest.raises(ValueError, match="1 lines of progress"):
        parse(OUTPUT, PROGRESS.split("progress: 2")[0])


def test_a_dsn_becomes_variables() -> None:
    """The password travels in the environment, where other users cannot see it."""
    assert environment("postgresql://shop:secret@127.0.0.1:5433/payments") == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "5433",
        "PGUSER": "shop",
        "PGPASSWORD": "secret",
        "PGDATABASE": "payments",
    }
