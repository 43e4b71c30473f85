"""What is told of numbers: everything first, then what changed since whatever the client has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay import jsontext
from relay.config_aggregates import MESSAGE_CHARACTERS
from relay.messages.aggregates import MetricsUpdate, WebhookStatus
from relay.routing.aggregates.minutes import minute_at
from relay.routing.aggregates.payments import PaymentMetrics
from relay.routing.aggregates.sheet import NOTHING, Sheet
from relay.routing.aggregates.webhooks import WebhookHealth
from tests.support.aggregates import NOW, WEBHOOKS, Ledger, payment_settings, webhook_settings


def told(sheet: Sheet, version: int) -> dict[str, Any]:
    """The message for a version, decoded."""
    message: dict[str, Any] = jsontext.decode(sheet.since(version))
    return message


def values(**numbers: int) -> dict[str, dict[str, Any]]:
    """Some values of payments."""
    return {"metrics": numbers, "trend_data": {"transactions": [{"value": sum(numbers.values())}]}}


def test_a_change_tells_only_what_changed() -> None:
    """After one number changed the message has that number, and the trend whole if it moved along."""
    sheet = Sheet("metrics", "metrics_update", values(a=1, b=1), NOW)
    whole = told(sheet, NOTHING)
    assert whole["complete"] is True
    assert whole["data"] == {"metrics": {"a": 1, "b": 1}, "trend_data": {"transactions": [{"value": 2}]}}
    assert whole["as_of"] == whole["timestamp"] == "2026-05-04T12:30:15Z"
    sheet.update(values(a=2, b=0), NOW)
    assert told(sheet, 1)["data"] == {"metrics": {"a": 2, "b": 0}}
    sheet.update(values(a=2, b=5), NOW + timedelta(minutes=1))
    last = told(sheet, 2)
    assert last["complete"] is False
    assert last["data"] == {"metrics": {"b": 5}, "trend_data": {"transactions": [{"value": 7}]}}
    assert last["as_of"] == "2026-05-04T12:31:15Z"


def test_nothing_changed_is_told_as_that() -> None:
    """An update without a change says that the numbers hold for a later moment, with an empty object."""
    sheet = Sheet("metrics", "metrics_update", values(a=1), NOW)
    sheet.update(values(a=1), NOW)
    assert told(sheet, 1)["data"] == {"metrics": {}}


@given(
    st.lists(st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.integers(0, 2)}), min_size=1, max_size=8)
)
def test_whoever_skips_messages_has_all_the_same(updates: list[dict[str, int]]) -> None:
    """From any version, merging the one message for it gives what is shown now."""
    sheet = Sheet("metrics", "metrics_update", values(**updates[0]), NOW)
    had = {sheet.version: dict(updates[0])}
    for update in updates[1:]:
        sheet.update(values(**update), NOW)
        had[sheet.version] = dict(update)
    for version, kept in had.items():
        if version < sheet.version:
            assert kept | told(sheet, version)["data"]["metrics"] == updates[-1]
    assert told(sheet, NOTHING)["data"]["metrics"] == updates[-1]


def test_an_endpoint_comes_whole_with_the_names_of_what_changed() -> None:
    """Pages put a webhook_status in the place of the one they have, so it always holds all its fields."""
    engine = WebhookHealth(webhook_settings(), minute_at(NOW))
    sheet = Sheet("webhook_status", "webhook_status", engine.values(), NOW)
    row = {"created_at": NOW.isoformat(), "processed_at": NOW.isoformat(), "error_message": "timeout"}
    engine.apply(Ledger().write(WEBHOOKS, 1, status="failed", **row))
    sheet.update(engine.values(), NOW)
    message = told(sheet, 1)
    assert message["data"]["changed"] == ["last_failure", "failure_count_24h", "error_message_last"]
    assert message["data"]["webhook_status"].keys() == engine.values()["webhook_status"].keys()


def test_messages_are_what_is_declared() -> None:
    """Whole and changed messages of both kinds fit the declared types; no two have one id."""
    payments = PaymentMetrics(payment_settings(), minute_at(NOW)).values()
    health = WebhookHealth(webhook_settings(), minute_at(NOW)).values()
    ids = set()
    for kind, sheet in (
        (MetricsUpdate, Sheet("m", "metrics_update", payments, NOW)),
        (WebhookStatus, Sheet("w", "webhook_status", health, NOW)),
    ):
        whole = sheet.since(NOTHING)
        sheet.update(sheet.values, NOW + timedelta(seconds=1))
        for text in (whole, sheet.since(NOTHING), sheet.since(1)):
            kind.model_validate_json(text)
            ids.add((kind, jsontext.decode(text)["id"]))
    assert len(ids) == 6


def test_what_an_endpoint_said_is_scanned() -> None:
    """The last error is free text: a card number in it does not leave, nor does the half of one that was cut off."""
    section = WebhookHealth(webhook_settings(), minute_at(NOW)).values()["webhook_status"]

    def shown(message: str) -> Any:
        sheet = Sheet("webhook_status", "webhook_status", {"webhook_status": section}, NOW)
        sheet.update({"webhook_status": {**section, "error_message_last": message}}, NOW)
        return told(sheet, NOTHING)["data"]["webhook_status"]["error_message_last"]

    assert shown("no answer from 4242 4242 4242 4242") == "no answer from [removed]"
    padding = "x " * 240
    cut = f"{padding}4242424242424242"[:MESSAGE_CHARACTERS].ljust(MESSAGE_CHARACTERS, "7")
    assert shown(cut) == padding.strip()
    assert shown("4" * MESSAGE_CHARACTERS) is None
    assert shown("timeout") == "timeout"
