"""Nothing that the WebSocket library logs can hold a token."""

from __future__ import annotations

import logging

import pytest

from relay.gateway.library import LOGGER, scrub


@pytest.mark.parametrize(
    "text",
    [
        "GET /ws/?token=SECRET HTTP/1.1",
        "GET /ws/?a=1&token=SECRET&b=2 HTTP/1.1",
        "< Authorization: Bearer SECRET",
        "< authorization: bearer SECRET",
        "< Sec-WebSocket-Protocol: relay.v1, bearer.SECRET",
        "invalid message eyJSECRET.SECRET.SECRET here",
        '{"type":"auth","token":"eyJSECRET"}',
    ],
)
def test_tokens_are_scrubbed(text: str) -> None:
    """Whatever carrier a token came in, it is taken out of the text."""
    assert "SECRET" not in scrub(text)


def test_other_text_is_left_alone() -> None:
    """Scrubbing leaves ordinary text as it is."""
    assert scrub("connection rejected (403 Forbidden)") == "connection rejected (403 Forbidden)"


def test_request_lines_are_not_logged_even_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """With everything else at DEBUG the library's logger stays quiet below WARNING."""
    with caplog.at_level(logging.DEBUG):
        assert not LOGGER.isEnabledFor(logging.INFO)
        LOGGER.info("GET /ws/?token=SECRET")
    assert caplog.text == ""


def test_what_is_logged_is_scrubbed(caplog: pytest.LogCaptureFixture) -> None:
    """An error is logged without tokens: neither in its text nor in that of the exception."""
    try:
        raise ValueError("invalid HTTP request line: GET /?token=SECRET")
    except ValueError:
        LOGGER.error("failed on %s", "/ws/?token=SECRET", exc_info=True)
    assert "SECRET" not in caplog.text
    assert "ValueError" in caplog.text
    assert "failed on /ws/?token=[removed]" in caplog.text
