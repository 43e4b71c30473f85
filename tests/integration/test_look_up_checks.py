"""Look-ups are tried before they are needed: what is wrong with them is told at the start, by name."""

from __future__ import annotations

from typing import Any

import pytest

from relay.config import ChannelSettings
from relay.errors import DatabaseError, MappingError
from tests.support.capture import capturing
from tests.support.database import Database

USERS = "public.accounts_customuser"


def channels(sql: str, reverse: str = "", shows: str = "email") -> dict[str, ChannelSettings]:
    """A channel with the look-up ``buyer``, of which it shows one column."""
    tree: dict[str, Any] = {
        "table": "public.finances_purchasetransaction",
        "fields": {"id": {"column": "id"}, "who": {"lookup": f"buyer.{shows}"}},
        "lookups": {
            "buyer": {"key": "student_id", "sql": sql, "reverse": reverse, "reads": {USERS: ["email"]}}
        },
    }
    return {"orders": ChannelSettings.model_validate(tree)}


GOOD = "SELECT id, email FROM accounts_customuser WHERE id = ANY(%(keys)s)"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (channels(GOOD.replace("email", "emial")), r"lookups\.buyer\.sql: column \"emial\" does not exist"),
        (
            channels(GOOD.replace("FROM accounts", "FROM acounts")),
            r"relation .* does not exist.*; correct it",
        ),
        (channels("SELEKT %(keys)s"), r"lookups\.buyer\.sql: syntax error"),
        (channels(GOOD, shows="phone"), r"gives no column phone, .* beside the key it gives email"),
        (channels(GOOD, "SELECT nope WHERE %(values)s IS NULL"), r"lookups\.buyer\.reverse: .*nope"),
        (channels(GOOD.replace("id = ANY", "email = id AND id = ANY")), "operator does not exist"),
    ],
)
async def test_a_look_up_that_cannot_run_is_named(
    database: Database, broken: dict[str, ChannelSettings], why: str
) -> None:
    """A column, table, statement or result that does not fit is one line with the setting to correct."""
    async with capturing(database.daemon_dsn, USERS) as seen:
        with pytest.raises(MappingError, match=why) as refused:
            await seen.capture.check_look_ups(broken)
        assert "channels.orders.lookups.buyer" in str(refused.value)
        await seen.capture.check_look_ups(
            channels(f"{GOOD} -- a comment;", "SELECT 1 WHERE 1 = ANY(%(values)s)")
        )


async def test_what_a_look_up_may_not_read_is_a_matter_of_reads(database: Database) -> None:
    """A table that the daemon's role may not read is told with the setting that lets it."""
    await database.execute("CREATE TABLE secret (id int PRIMARY KEY, email text)")
    async with capturing(database.daemon_dsn, USERS) as seen:
        with pytest.raises(MappingError, match=r"permission denied.*list what it reads in reads"):
            await seen.capture.check_look_ups(
                channels("SELECT id, email FROM secret WHERE id = ANY(%(keys)s)")
            )


async def test_trying_a_look_up_reads_nothing(database: Database) -> None:
    """A query that would take long, or fail for a row, is not run for the trial."""
    dear = "SELECT id, email, pg_sleep(60), 1 / (id - id) FROM accounts_customuser WHERE id > 0 OR id = ANY(%(keys)s)"
    await database.execute(
        "INSERT INTO accounts_customuser (email, name, phone_number, password, is_active, is_staff, is_superuser,"
        " date_joined) VALUES ('a', 'n', '', '', true, false, false, now())"
    )
    async with capturing(database.daemon_dsn, USERS) as seen:
        await seen.capture.check_look_ups(channels(dear))


async def test_a_look_up_that_fails_for_a_row_does_not_quote_it(database: Database) -> None:
    """Postgres quotes the value it cannot convert; ours does not, for the reason is logged."""
    async with capturing(database.daemon_dsn, USERS) as seen:
        with pytest.raises(DatabaseError, match=r"InvalidTextRepresentation \(22P02\)") as failed:
            await seen.capture.look_up(GOOD, ["geheim"])
        assert "geheim" not in str(failed.value)
