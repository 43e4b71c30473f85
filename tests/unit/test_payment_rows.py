"""The preset gives what the declared rows say, field by field, and what the dashboards that exist were written for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from relay.config import ChannelSettings
from relay.messages.payments import PAYMENT_MESSAGES, PAYMENT_ROWS
from relay.messages.schema import Schema, json_schema, pascal, row_schema
from tests.support.relay import settings_for

CHANNELS = settings_for("dbname=x").channels

#: The fields of client-side types as shipped pages declare them -> JSON types. Those they mark as optional and no
#: column holds (payment_method_type, last_payment_error, evidence_details, resolution_notes, response_status,
#: next_retry_at) are never sent.
PAGES: dict[str, dict[str, str]] = {
    "transactions": {
        "id": "string",
        "payment_intent_id": "string",
        "customer_email": "string",
        "amount": "string",
        "currency": "string",
        "status": "string",
        "status_display": "string",
        "created_at": "string",
        "updated_at": "string",
        "metadata": "object",
        "failure_reason": "string null",
        "risk_score": "number null",
    },
    "disputes": {
        "id": "string",
        "dispute_id": "string",
        "payment_intent_id": "string",
        "amount": "string",
        "currency": "string",
        "reason": "string",
        "status": "string",
        "status_display": "string",
        "evidence_due_by": "string null",
        "created_at": "string",
        "updated_at": "string",
        "customer_email": "string",
        "evidence_submitted": "boolean",
    },
    "fraud_alerts": {
        "id": "string",
        "payment_intent_id": "string",
        "amount": "string null",
        "alert_type": "string",
        "risk_score": "number",
        "description": "string",
        "status": "string",
        "created_at": "string",
        "resolved_at": "string null",
        "resolved_by": "string null",
        "customer_email": "string",
        "metadata": "object",
    },
    "webhooks": {
        "id": "string",
        "event_type": "string",
        "status": "string",
        "attempts": "integer",
        "max_attempts": "integer",
        "received_at": "string",
        "processed_at": "string null",
        "error_message": "string null",
    },
}


def kinds(field: Schema) -> str:
    """The JSON types that a field's schema allows."""
    if "const" in field:
        return {str: "string", int: "integer"}[type(field["const"])]
    return " ".join(option["type"] for option in field.get("anyOf", [field]))


@pytest.mark.parametrize("name", PAYMENT_ROWS)
def test_the_mapping_gives_the_declared_row(name: str) -> None:
    """The same fields of the same types, null where the row may be null and nowhere else, and every one always sent."""
    mapped = row_schema(CHANNELS[name], {})
    declared: dict[str, Any] = PAYMENT_ROWS[name].model_json_schema()
    assert set(mapped["properties"]) == set(declared["properties"])
    assert mapped["required"] == list(mapped["properties"])
    assert set(declared["required"]) == set(declared["properties"])
    for field, schema in mapped["properties"].items():
        assert kinds(schema) == kinds(declared["properties"][field]), field
        assert schema.get("const") == declared["properties"][field].get("const"), field


@pytest.mark.parametrize("name", PAYMENT_ROWS)
def test_the_mapping_gives_the_declared_messages(name: str) -> None:
    """The type, the key of the row, and the actions of each channel are those of its message."""
    channel = CHANNELS[name]
    definitions = json_schema({name: channel})["$defs"]
    shown = definitions[f"{pascal(name)}Shown"]["properties"]["data"]["properties"]
    data = PAYMENT_MESSAGES[channel.message].model_fields["data"].annotation
    assert data is not None
    declared: dict[str, Any] = TypeAdapter(data).json_schema()
    assert set(shown) == set(declared["properties"])
    assert {*shown["action"]["enum"], "deleted"} == set(declared["properties"]["action"]["enum"])
    row = declared["properties"][channel.object]["anyOf"][0]["$ref"]
    assert row == f"#/$defs/{PAYMENT_ROWS[name].__name__}"


@pytest.mark.parametrize("name", PAGES)
def test_every_field_that_the_pages_know_is_there(name: str) -> None:
    """Each field that a shipped page declares and a column or look-up can give comes, in the type it declares."""
    mapped = row_schema(CHANNELS[name], {})["properties"]
    assert {field: kinds(mapped[field]) for field in PAGES[name] if field in mapped} == PAGES[name]


@pytest.mark.parametrize(("name", "field"), [(n, f) for n in PAGES for f in ("metadata",) if f in PAGES[n]])
def test_of_json_columns_only_named_keys_are_shown(name: str, field: str) -> None:
    """What a backend puts into its JSON columns tomorrow is not sent because it is there."""
    channel: ChannelSettings = CHANNELS[name]
    assert channel.fields[field].keys
    for each in channel.fields.values():
        assert each.keys or each.key or each.column not in ("metadata", "detection_data", "payload")
