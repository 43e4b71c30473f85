"""The tables of the storm, and the channels on them.

Every row has a ``version`` that its writers raise by one under the row's lock: delivered in order and without a loss,
the versions of a row count up by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from relay.resources import sql_directory
from tests.support.database import Database

__all__ = ["CHANNELS", "CONFIG", "FILTERS", "SECRET", "Channel", "Filter", "prepare"]

SECRET = "a-secret-that-only-the-storm-knows-0123456789"

Row = Mapping[str, Any]

TABLES = """
CREATE TABLE account (id text PRIMARY KEY, balance numeric(14,2) NOT NULL, version int NOT NULL, tag bigint NOT NULL);
CREATE TABLE payment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account text NOT NULL, amount numeric(12,2) NOT NULL,
    state text NOT NULL, version int NOT NULL, tag bigint NOT NULL, note text NOT NULL DEFAULT '');
CREATE TABLE posting (payment bigint PRIMARY KEY, state text NOT NULL, version int NOT NULL, tag bigint NOT NULL);
CREATE TABLE item (
    batch bigint, number int, amount numeric(12,2) NOT NULL, version int NOT NULL, tag bigint NOT NULL,
    PRIMARY KEY (batch, number));

-- Writes back to another watched table and to the row itself.
CREATE FUNCTION write_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM posting WHERE payment = OLD.id;
    ELSIF TG_OP = 'INSERT' OR NEW.version <> OLD.version THEN
        INSERT INTO posting VALUES (NEW.id, NEW.state, 1, NEW.tag)
            ON CONFLICT (payment) DO UPDATE
            SET state = EXCLUDED.state, version = posting.version + 1, tag = EXCLUDED.tag;
        IF NEW.state = 'settling' THEN
            UPDATE payment SET state = 'settled', version = version + 1 WHERE id = NEW.id;
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_write_back AFTER INSERT OR UPDATE OR DELETE ON payment FOR EACH ROW EXECUTE FUNCTION write_back();
"""

WATCHED = {
    "account": ["id", "balance", "version", "tag"],
    "payment": ["id", "account", "amount", "state", "version", "tag"],
    "posting": ["payment", "state", "version", "tag"],
    "item": ["batch", "number", "amount", "version", "tag"],
}


@dataclass(frozen=True)
class Channel:
    """One channel: its table, the columns it shows, and which of them are the key."""

    table: str
    fields: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def source(self) -> str:
        """As the outbox names it."""
        return f"public.{self.table}"

    def shown(self, image: Row) -> dict[str, Any]:
        """A row of the table, or an image of the outbox, as clients see it."""
        return {name: _wire(image[name]) for name in self.fields}


def _wire(value: Any) -> Any:
    return value if isinstance(value, str) else str(value)


CHANNELS = {
    "accounts": Channel("account", ("id", "balance", "version", "tag"), ("id",)),
    "payments": Channel("payment", ("id", "account", "amount", "state", "version", "tag"), ("id",)),
    # The same table once more, with fields that most updates leave alone.
    "amounts": Channel("payment", ("id", "amount"), ("id",)),
    "postings": Channel("posting", ("payment", "state", "version", "tag"), ("payment",)),
    "items": Channel("item", ("batch", "number", "amount", "version", "tag"), ("batch", "number")),
}


@dataclass(frozen=True)
class Filter:
    """A filter as a client sends it, and what it means."""

    wire: Mapping[str, Any]
    matches: Callable[[Row], bool]


FILTERS = {
    "payments": (
        Filter({"state": "open"}, lambda row: row["state"] == "open"),
        Filter({"state": ["settled", "failed"]}, lambda row: row["state"] in ("settled", "failed")),
        Filter({"amount": {"gte": "50"}}, lambda row: Decimal(row["amount"]) >= 50),
    ),
    "items": (Filter({"amount": {"lt": "30.00"}}, lambda row: Decimal(row["amount"]) < 30),),
}

KINDS = {"amount": "decimal", "balance": "decimal", "version": "integer"}


def _config(name: str, channel: Channel) -> str:
    fields = "\n".join(
        f'{field} = {{ column = "{field}", type = "{KINDS.get(field, "string")}" }}'
        for field in channel.fields
    )
    return f"""
[channels.{name}]
table = "{channel.source}"
order = "{channel.key[0]} desc"
[channels.{name}.fields]
{fields}
"""


CONFIG = f"""
[auth]
algorithms = ["HS256"]
secrets    = ["{SECRET}"]
audience   = "storm"
[server]
heartbeat_seconds = 0.3
drain_seconds     = 2
[limits]
connections_per_subject         = 1000
connects_per_minute_per_subject = 100000
connects_per_minute_per_address = 100000
[capture]
safety_poll_seconds = 1
backoff_initial_ms  = 20
backoff_max_seconds = 0.5
replay_limit        = 1000000
[database]
connect_timeout_seconds = 2
poll_deadline_seconds   = 3
[logging]
format = "json"
[[policies]]
name     = "all"
when     = {{}}
channels = ["*"]
{"".join(_config(name, channel) for name, channel in CHANNELS.items())}
"""


async def prepare(database: Database) -> None:
    """Install the relay's schema, the tables and their watches in an empty database."""
    for path in sorted(sql_directory().glob("[0-9]*.sql")):
        await database.execute(path.read_text())
    await database.execute(TABLES)
    for table, columns in WATCHED.items():
        await database.execute("SELECT relay.watch(%s::regclass, %s)", table, columns)
