"""The table of codes keeps the promises that shipped clients rely on."""

from __future__ import annotations

import pytest

from relay.messages.codes import CODES, code_for_close

CLOSES = {1002, 1003, 1007, 1009, 1011, 1012, 1013, 4001, 4003, 4029}
STATUSES = {400, 401, 403, 404, 405, 414, 426, 429, 431, 500, 503}


def test_no_code_closes_with_what_clients_take_as_final() -> None:
    """The relay never closes with 1000 or 1001."""
    assert {row.close for row in CODES.values()} - {None} == CLOSES


def test_every_status_is_one_of_the_protocol() -> None:
    """A refusal before the upgrade has one of the documented statuses."""
    assert {row.http for row in CODES.values()} - {None} == STATUSES


def test_a_goodbye_always_ends_the_connection_and_may_be_retried() -> None:
    """Goodbye is said for reasons that are not the client's fault: it closes, and coming back helps."""
    for row in CODES.values():
        if row.carrier == "goodbye":
            assert row.close is not None
            assert row.retryable, row.name


def test_names_and_texts_are_fit_for_the_wire() -> None:
    """A name is a lower-case word, a text is one line."""
    for name, row in CODES.items():
        assert name == row.name
        assert name.replace("_", "").isalpha()
        assert name.islower()
        assert row.message
        assert "\n" not in row.message


@pytest.mark.parametrize(
    ("close", "name"),
    [
        (1002, "protocol_error"),
        (1007, "not_json"),
        (1009, "message_too_big"),
        (1011, "internal"),
        (1006, "internal"),
    ],
)
def test_what_the_library_closes_with_has_a_row(close: int, name: str) -> None:
    """A close code chosen by the WebSocket library maps to the code that is told; anything else is
    internal."""
    assert code_for_close(close).name == name
