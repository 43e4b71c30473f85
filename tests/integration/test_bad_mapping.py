"""Mappings of what is not there: the relay does not start, and one line says what to correct."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from relay.config import Settings, load
from relay.daemon import Daemon
from relay.errors import ConfigError, MappingError
from tests.support.database import Database
from tests.support.relay import SECRET, settings_for


def _payments(**changes: Any) -> dict[str, Any]:
    """The preset's payments with fields or look-ups over it, each a whole table."""
    channel = settings_for("dbname=x").channels["transactions"].model_dump(exclude_none=True)
    return {
        "transactions": {**channel, **{part: {**channel[part], **more} for part, more in changes.items()}}
    }


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"channels": {"transactions": {**_payments()["transactions"], "table": "public.nowhere"}}},
        "public.nowhere",
    ),
    ({"channels": _payments(fields={"x": {"column": "colour"}})}, "colour"),
    ({"channels": _payments(fields={"x": {"column": "metadata", "only": {"colour": ["red"]}}})}, "colour"),
    ({"channels": _payments(fields={"x": {"lookup": "nobody.email"}})}, "nobody"),
    ({"channels": _payments(fields={"x": {"lookup": "customer.colour"}})}, "colour"),
    (
        {
            "channels": _payments(
                lookups={
                    "odd": {
                        "key": "payer",
                        "sql": "SELECT id FROM accounts_customuser WHERE id = ANY(%(keys)s)",
                    }
                }
            )
        },
        "payer",
    ),
    (
        {
            "channels": _payments(
                lookups={
                    "odd": {
                        "key": "id",
                        "sql": "SELECT 1 WHERE 1 = ANY(%(keys)s)",
                        "reads": {"public.x": ["y"]},
                    }
                }
            )
        },
        "public.x",
    ),
    (
        {"policies": [{"name": "p", "when": {}, "channels": ["disputes"], "where": {"status": "$claims"}}]},
        r"$claims.name",
    ),
    ({"policies": [{"name": "p", "when": {}, "channels": ["refunds"]}]}, "refunds"),
]


async def test_a_mapping_that_names_what_is_not_there_does_not_start(database: Database) -> None:
    """A table, column, look-up or claim that is missing or misspelled ends the start with one line that names it."""
    for sections, named in WRONG:
        settings = settings_for(database.daemon_dsn).model_dump(exclude_none=True)
        settings["auth"]["secrets"] = [SECRET]
        with pytest.raises((ConfigError, ValidationError)) as wrong:
            await Daemon(Settings.model_validate({**settings, "policies": [], **sections})).run()
        assert named in str(wrong.value)


async def test_what_a_preset_names_and_the_database_lacks_is_the_presets(
    database: Database, tmp_path: Path
) -> None:
    """Where a table of the preset is missing the line names it and the preset; taken away in the config it starts."""
    await database.execute("DROP TABLE finances_paymentdispute")
    environment = {
        "RELAY_PRESET": "payments",
        "RELAY_DATABASE__DSN": database.daemon_dsn,
        "RELAY_AUTH__ALGORITHMS": "HS256",
        "RELAY_AUTH__AUDIENCE": "payment-relay",
        "RELAY_AUTH__SECRETS": SECRET,
        "RELAY_SERVER__PORT": "0",
        "RELAY_SERVER__OPS_PORT": "0",
    }
    with pytest.raises(MappingError) as wrong:
        await Daemon(load(None, environment)).run()
    assert "public.finances_paymentdispute" in str(wrong.value)
    assert "preset payments" in str(wrong.value)
    assert "\n" not in str(wrong.value)
    without = tmp_path / "config.toml"
    without.write_text("[channels]\ndisputes = false\n[aggregates.metrics]\ndisputes = false\n")
    stop = asyncio.Event()
    stop.set()
    await Daemon(load(without, environment)).run(stop=stop)
