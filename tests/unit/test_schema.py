"""The JSON Schema of messages describes what is really sent, and the TypeScript says the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relay import jsontext
from relay.config import ChannelSettings, PolicySettings, load
from relay.messages import frames
from relay.messages.schema import json_schema
from relay.messages.typescript import typescript

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def _channel(**fields: dict[str, Any]) -> ChannelSettings:
    return ChannelSettings.model_validate(
        {"table": "public.orders", "object": "order", "status": "state", "fields": fields}
    )


def _definitions(**fields: dict[str, Any]) -> dict[str, Any]:
    definitions: dict[str, Any] = json_schema({"my-orders": _channel(**fields)})["$defs"]
    return definitions


def test_every_message_of_the_protocol_is_described() -> None:
    """Each frame has a definition with its constant type; data and snapshots have one for each channel."""
    schema = json_schema(load(EXAMPLE, {}).channels)
    for model in frames.SERVER_MESSAGES:
        if model not in (frames.Data, frames.Snapshot):
            definition = schema["$defs"][model.__name__]
            assert definition["properties"]["type"]["const"] == model.model_fields["type"].default
            assert "type" in definition["required"]
    names = {option["$ref"].rpartition("/")[2] for option in schema["anyOf"]}
    assert {"Welcome", "TransactionsChange", "TransactionsSnapshot", "FraudAlertsChange"} <= names
    assert names <= set(schema["$defs"])


def test_required_is_what_is_always_sent() -> None:
    """The properties of an encoded frame are declared, and those it cannot be without are required."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    samples = [
        frames.Welcome(connection="c", subject="s", channels=["a"], expires_at=now, heartbeat_seconds=5),
        frames.Checkpoint(cursor="x", as_of=now),
        frames.Pong(),
        frames.Error.of("internal"),
        frames.Goodbye.of("restart", 5),
    ]
    definitions = json_schema({})["$defs"]
    for sample in samples:
        sent = jsontext.decode(sample.encode())
        definition = definitions[type(sample).__name__]
        assert set(definition["required"]) <= set(sent) <= set(definition["properties"])


def test_aggregates_are_described_with_what_may_be_null() -> None:
    """An aggregate has one message under its own name; a metric may be missing, a part of an endpoint may be null."""
    settings = load(EXAMPLE, {})
    schema = json_schema({}, aggregates=settings.aggregates)
    definitions = schema["$defs"]
    assert {"$ref": "#/$defs/MetricsNumbers"} in schema["anyOf"]
    numbers = definitions["MetricsNumbers"]["properties"]
    assert (numbers["channel"], numbers["type"]["const"]) == ({"const": "metrics"}, "metrics_update")
    assert definitions["PaymentMetrics"]["required"] == []
    assert definitions["PaymentMetrics"]["properties"]["total_revenue_24h"]["type"] == "string"
    health = definitions["EndpointHealth"]
    assert health["required"] == list(health["properties"])
    assert {"type": "null"} in health["properties"]["last_success"]["anyOf"]
    assert "  last_success: string | null;" in typescript(schema)


def test_hidden_fields_are_not_described() -> None:
    """A field for policies alone does not show in what clients can receive."""
    row = _definitions(id={"column": "id"}, school={"column": "s", "hidden": True})["MyOrdersRow"]
    assert list(row["properties"]) == row["required"] == ["id"]


def test_field_types_are_json_types() -> None:
    """Declared types become JSON types, null included unless there is a default; undeclared ones can be anything."""
    row = _definitions(
        id={"column": "id", "type": "string"},
        amount={"column": "a", "type": "decimal", "default": "0"},
        count={"column": "c", "type": "integer"},
        sure={"column": "c", "type": "integer", "required": True},
        at={"column": "t", "type": "timestamp"},
        currency={"constant": "eur"},
        state={"column": "s", "map": {"a": "b"}},
        meta={"column": "m", "keys": ["plan"]},
        raw={"column": "r"},
    )["MyOrdersRow"]["properties"]
    null = {"type": "null"}
    assert row["id"] == {"type": "string"}
    assert row["amount"]["type"] == "string"
    assert row["count"] == {"anyOf": [{"type": "integer"}, null]}
    assert row["sure"] == {"type": "integer"}
    assert row["at"]["anyOf"][0]["format"] == "date-time"
    assert row["currency"] == {"const": "eur"}
    assert row["state"] == {"anyOf": [{"type": "string"}, null]}
    assert row["meta"]["anyOf"][0]["properties"] == {"plan": {}}
    assert row["raw"] == {}


def test_a_change_names_its_channel_and_is_of_one_of_three_kinds() -> None:
    """A data message has the channel's type and name; its row is whole, or an id alone where it has gone."""
    definitions = _definitions(id={"column": "id", "type": "string"})
    kinds = [definitions[f"MyOrders{kind}"]["properties"] for kind in ("Shown", "Deleted", "Left")]
    assert [option["$ref"].rpartition("/")[2] for option in definitions["MyOrdersChange"]["anyOf"]] == [
        "MyOrdersShown",
        "MyOrdersDeleted",
        "MyOrdersLeft",
    ]
    for properties in kinds:
        assert properties["type"] == {"const": "row_change"}
        assert properties["channel"] == {"const": "my-orders"}
    shown, deleted, left = (properties["data"]["properties"] for properties in kinds)
    assert shown["action"]["enum"] == ["created", "updated", "status_changed"]
    assert (deleted["action"], left["action"]) == ({"const": "deleted"}, {"const": "updated"})
    assert shown["order"] == {"$ref": "#/$defs/MyOrdersRow"}
    assert deleted["order"]["required"] == left["order"]["required"] == ["id"]
    assert "changed" not in left
    assert "membership" not in definitions["MyOrdersShown"]["required"]
    assert "membership" in definitions["MyOrdersLeft"]["required"]


def test_typescript_declares_each_definition() -> None:
    """Every definition is an exported declaration, optional where it is not required, and the whole is a union."""
    schema = json_schema({"my-orders": _channel(id={"column": "id", "type": "string"}, note={"column": "n"})})
    text = typescript(schema)
    for name, definition in schema["$defs"].items():
        kind = "interface" if "properties" in definition else "type"
        assert f"export {kind} {name} " in text
    assert "export interface MyOrdersRow {\n  id: string;\n  note: unknown;\n}" in text
    assert '  type: "checkpoint";\n  cursor: string;\n' in text
    assert '  status: "ok" | "degraded";' in text
    assert '  membership?: "entered" | "left";' in text
    assert "  rows: MyOrdersRow[];" in text
    assert "  channels: Record<string, SubscribedChannel>;" in text
    assert "    order: MyOrdersRow;\n    changed?: string[];" in text
    assert "export type MyOrdersChange = MyOrdersShown | MyOrdersDeleted | MyOrdersLeft;" in text
    assert text.rstrip().endswith("| MyOrdersChange | MyOrdersSnapshot;")


def test_typescript_quotes_odd_names() -> None:
    """A property that is no identifier is quoted, and a comment cannot be ended from inside."""
    definition = {
        "properties": {"a-b": {"type": "array", "items": {"enum": [1, 2]}}},
        "description": "x */ y",
    }
    text = typescript({"title": "T", "anyOf": [{"type": "null"}], "$defs": {"A": definition}})
    assert '"a-b"?: (1 | 2)[];' in text
    assert "/** x * / y */" in text
    assert "export type T = null;" in text


def test_what_a_policy_masks_may_be_text_or_missing() -> None:
    """The schema is for everybody: under a mask a field is text, and it goes where the mask cannot be applied."""
    fields: dict[str, Any] = {
        "id": {"column": "id", "type": "string"},
        "total": {"column": "total", "type": "decimal"},
        "note": {"column": "note", "type": "string", "default": ""},
        "count": {"column": "n", "type": "integer"},
    }
    channels = {"orders": _channel(**fields), "other": _channel(**fields)}
    masked = {"name": "p", "when": {}, "channels": ["orders"], "mask": {"total": "redact", "note": "drop"}}
    definitions = json_schema(channels, [PolicySettings.model_validate(masked)])["$defs"]
    row, other = definitions["OrdersRow"], definitions["OtherRow"]
    assert row["required"] == ["id", "count"]
    assert {"type": "string"} in row["properties"]["total"]["anyOf"]
    assert row["properties"]["note"] == other["properties"]["note"] == {"type": "string"}
    assert other["required"] == list(fields)


def test_the_actions_are_those_of_the_channel() -> None:
    """A channel that names its statuses' actions has those, and no status_changed."""
    named = ChannelSettings.model_validate(
        {
            "table": "public.orders",
            "status": "state",
            "fields": {"id": {"column": "id"}},
            "actions": {"won": ["a"]},
        }
    )
    change = json_schema({"orders": named})["$defs"]["OrdersShown"]
    assert change["properties"]["data"]["properties"]["action"] == {"enum": ["created", "updated", "won"]}
