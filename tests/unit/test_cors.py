"""What pages of other sites are told."""

from __future__ import annotations

from relay.gateway.cors import preflight, shared_with


def test_an_answer_is_for_the_page_that_asked() -> None:
    """Its origin is repeated, never a star, and caches are told that the answer depends on it."""
    fields = dict(shared_with(["https://app.example"]))
    assert fields["Access-Control-Allow-Origin"] == "https://app.example"
    assert fields["Vary"] == "Origin"
    assert shared_with([]) == (("Vary", "Origin"),)


def test_a_preflight_has_no_body_and_allows_no_credentials() -> None:
    """204 without a length (RFC 9110 §8.6), for the one header that is needed; cookies are nobody's business."""
    answer = preflight()
    assert (answer.status_code, answer.body) == (204, b"")
    assert "Content-Length" not in answer.headers
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization"
