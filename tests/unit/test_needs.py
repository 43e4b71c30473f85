"""What has to be watched follows from the channels alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relay.config import Settings, load
from relay.routing.needs import needs

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def _settings(**channels: dict[str, Any]) -> Settings:
    return Settings.model_validate({"database": {"dsn": "x"}, "channels": channels})


def test_a_channel_needs_what_it_shows_and_sorts_by() -> None:
    """Columns of fields, of the status, of the order and of look-up keys are needed; constants are no columns."""
    settings = _settings(
        orders={
            "table": "public.orders",
            "status": "state",
            "order": "created_at desc",
            "fields": {
                "id": {"column": "id"},
                "currency": {"constant": "eur"},
                "who": {"lookup": "buyer.name"},
            },
            "lookups": {
                "buyer": {"key": "buyer_id", "sql": "SELECT id, name FROM people WHERE id = ANY(%(keys)s)"}
            },
        }
    )
    assert needs(settings) == {"public.orders": frozenset({"id", "state", "created_at", "buyer_id"})}


def test_hidden_fields_are_needed_too() -> None:
    """A field that only a policy looks at has to be captured like any other."""
    fields = {"id": {"column": "id"}, "school": {"column": "school_id", "hidden": True}}
    settings = _settings(orders={"table": "public.orders", "fields": fields})
    assert needs(settings) == {"public.orders": frozenset({"id", "school_id"})}


def test_tables_of_several_channels_and_look_ups_are_united() -> None:
    """One table that feeds two channels and is read by a look-up needs the columns of all three."""
    settings = _settings(
        a={"table": "public.t", "fields": {"id": {"column": "id"}}},
        b={
            "table": "public.t",
            "fields": {"x": {"column": "x"}},
            "lookups": {
                "l": {"key": "k", "sql": "%(keys)s", "reads": {"public.t": ["y"], "public.u": ["z"]}}
            },
        },
    )
    assert needs(settings) == {"public.t": frozenset({"id", "x", "k", "y"}), "public.u": frozenset({"z"})}


def test_nothing_is_needed_without_channels() -> None:
    """A config without channels watches nothing."""
    assert needs(_settings()) == {}


def test_the_example_never_needs_what_holds_secrets() -> None:
    """The shipped channels read no column that holds whole Stripe objects, evidence or credentials."""
    needed = set().union(*needs(load(EXAMPLE, {})).values())
    assert needed.isdisjoint({"payload", "stripe_metadata", "evidence_details", "internal_notes", "password"})
