"""What an aggregate is compiled from, and what its start refuses."""

from __future__ import annotations

from typing import Any

import pytest

from relay.errors import MappingError
from relay.routing.aggregates.aggregate import compile_aggregates
from relay.routing.aggregates.payments import PaymentMetrics
from relay.routing.aggregates.webhooks import WebhookHealth
from tests.support.aggregates import ALERTS, DISPUTES, PAYMENTS, WEBHOOKS, payment_settings, webhook_settings

TYPES = {
    PAYMENTS: {"status": "character varying", "amount": "numeric", "created_at": "timestamp with time zone"},
    DISPUTES: {"status": "text"},
    ALERTS: {"status": "alert_status"},
    WEBHOOKS: {
        "status": "text",
        "created_at": "timestamp without time zone",
        "processed_at": "timestamp with time zone",
        "error_message": "text",
    },
}
SETTINGS = {"metrics": payment_settings(), "hooks": webhook_settings()}


def test_an_aggregate_names_its_columns_and_its_message() -> None:
    """What has to be captured follows from the declaration, and so do the type of the message and the engine."""
    compiled = compile_aggregates(SETTINGS, TYPES)
    assert compiled["metrics"].columns == {
        PAYMENTS: frozenset({"status", "amount", "created_at"}),
        DISPUTES: frozenset({"status"}),
        ALERTS: frozenset({"status"}),
    }
    assert compiled["hooks"].sources == {WEBHOOKS}
    assert [each.message for each in compiled.values()] == ["metrics_update", "webhook_status"]
    assert isinstance(compiled["metrics"].engine(0), PaymentMetrics)
    assert isinstance(compiled["hooks"].engine(0), WebhookHealth)


def test_the_view_changes_with_the_declaration() -> None:
    """Clients can tell from the view that numbers mean something else now."""
    views = {
        compile_aggregates({name: settings})[name].view
        for name, settings in (
            ("metrics", payment_settings()),
            ("metrics", payment_settings(stuck_minutes=61)),
            ("other", payment_settings()),
        )
    }
    assert len(views) == 3
    assert compile_aggregates(SETTINGS)["metrics"].view == compile_aggregates(SETTINGS, TYPES)["metrics"].view


@pytest.mark.parametrize(
    ("table", "types", "why"),
    [
        (PAYMENTS, None, "aggregates.metrics.transactions counts table public.payment, which does not exist"),
        (
            ALERTS,
            {},
            'aggregates.metrics.alerts.status names column "status", which table public.alert does not have',
        ),
        (PAYMENTS, {"amount": "double precision"}, "which cannot be added up exactly"),
        (PAYMENTS, {"amount": "money"}, "aggregates.metrics.transactions.amount is column"),
        (PAYMENTS, {"created_at": "text"}, "name a column of type timestamptz"),
        (PAYMENTS, {"status": "character"}, "padded with blanks"),
        (WEBHOOKS, {"processed_at": "time without time zone"}, "aggregates.hooks.webhooks.processed_at"),
        (WEBHOOKS, {"error_message": "jsonb"}, "name a column of type text"),
    ],
)
def test_what_cannot_be_counted_stops_the_start(table: str, types: dict[str, Any] | None, why: str) -> None:
    """A missing table or column, or one of a type that cannot be counted exactly, is named with the remedy."""
    live: dict[str, dict[str, str]] = {name: dict(columns) for name, columns in TYPES.items()}
    if types is None:
        del live[table]
    else:
        live[table] = live[table] | types if types else {}
    with pytest.raises(MappingError) as caught:
        compile_aggregates(SETTINGS, live)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
