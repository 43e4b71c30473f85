"""The lines that the demo shows for messages."""

from relay.demo.screen import describe


def test_a_change_of_status_shows_both() -> None:
    """A payment's line has time, channel, number, both statuses, the amount and what it is about."""
    line = describe(
        {
            "type": "transaction_update",
            "channel": "transactions",
            "timestamp": "2026-01-02T03:04:05.678Z",
            "data": {
                "action": "status_changed",
                "previous_status": "processing",
                "transaction": {
                    "id": "7",
                    "status": "succeeded",
                    "amount": "89.00",
                    "currency": "eur",
                    "customer_email": "ana@example.org",
                },
            },
        }
    )
    words = "03:04:05 transactions #7 processing → succeeded 89.00 eur ana@example.org"
    assert " ".join((line or "").split()) == words


def test_a_row_that_left_shows_what_is_known() -> None:
    """A message with the id alone is shown as that."""
    message = {"type": "row_change", "channel": "x", "data": {"action": "deleted", "row": {"id": "7"}}}
    assert (describe(message) or "").split() == ["x", "#7"]


def test_what_nobody_waits_for_is_not_shown() -> None:
    """Checkpoints and confirmations make no line; errors do."""
    assert describe({"type": "checkpoint", "cursor": "abc"}) is None
    assert describe({"type": "error", "message": "no such channel"}) == "          error: no such channel"
