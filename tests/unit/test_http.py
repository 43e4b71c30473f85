"""HTTP answers have the status, body and headers of the table of codes."""

from __future__ import annotations

import json

import pytest

from relay.gateway.http import RefusedByHttp, answer, refuse, without_body
from relay.messages.codes import CODES


@pytest.mark.parametrize("code", sorted(name for name, row in CODES.items() if row.http))
def test_a_refusal_is_the_error_message_as_body(code: str) -> None:
    """Every code that has a status is refused with it and with the JSON that an error message would carry."""
    response = refuse(code)
    assert response.status_code == CODES[code].http
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Connection"] == "close"
    assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(response.body) == {
        "type": "error",
        "code": code,
        "message": CODES[code].message,
        "retryable": CODES[code].retryable,
    }
    assert ("WWW-Authenticate" in response.headers) is (response.status_code == 401)


@pytest.mark.parametrize(("pause", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.2, "2"), (60.0, "60")])
def test_retry_after_is_whole_seconds(pause: float, header: str) -> None:
    """Retry-After is rounded up and never zero, or a client would be back at once."""
    response = RefusedByHttp("connecting_too_often", retry_after=pause).response()
    assert response.headers["Retry-After"] == header


def test_head_has_the_header_of_get() -> None:
    """The answer to HEAD has the length of the body and no body."""
    response = without_body(answer(200, b"hello", "text/plain"))
    assert response.headers["Content-Length"] == "5"
    assert response.body == b""
