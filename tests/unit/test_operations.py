"""The operations address answers what it is asked, and nothing but that."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from relay.gateway.operations import Operations


def ask(path: str, method: str = "GET", *, reason: str | None = None) -> tuple[int, bytes]:
    """Status and body of the answer."""
    response = Operations(lambda: reason)(cast(Any, None), Request(path, Headers(), method))
    return response.status_code, bytes(response.body)


def test_readiness_has_a_reason() -> None:
    """Ready is 200; otherwise 503 with the reason in words."""
    assert ask("/readyz") == (200, b'{"status":"ready"}')
    assert ask("/readyz?x=1", reason="draining") == (503, b'{"status":"unready","reason":"draining"}')
    assert ask("/readyz", "HEAD", reason="draining") == (503, b"")


def test_health_is_not_readiness() -> None:
    """Alive is alive, whatever the reason not to be sent clients."""
    assert ask("/healthz", reason="draining")[0] == 200


def test_metrics_are_shown() -> None:
    """The page of metrics is in the text format of Prometheus."""
    status, body = ask("/metrics")
    assert status == 200
    assert b"# TYPE relay_connections gauge" in body


@pytest.mark.parametrize(
    ("path", "method", "code"),
    [
        ("/", "GET", "not_found"),
        ("http://x/metrics", "GET", "not_found"),
        ("/metrics", "POST", "method_not_allowed"),
    ],
)
def test_everything_else_is_refused(path: str, method: str, code: str) -> None:
    """Other paths and methods are refused in JSON."""
    status, body = ask(path, method)
    assert status in (404, 405)
    assert json.loads(body)["code"] == code
