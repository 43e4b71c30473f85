"""Where the dashboard gets its token becomes part of a security policy, so it is an address and nothing more."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from relay.config_dashboard import DashboardSettings


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/api/relay-token/",
        "/token?for=relay",
        "https://app.example.org/api/relay-token/",
        "http://127.0.0.1:8000/t",
        "https://[::1]:8000",
    ],
)
def test_an_address_is_taken(url: str) -> None:
    """A path on the same host, or http(s) with a host, a port and a path."""
    assert DashboardSettings(token_url=url).token_url == url


@pytest.mark.parametrize(
    "url",
    [
        "relay-token",
        "//app.example.org/",
        "javascript:alert(1)",
        "https://*.example.org/",
        "https://a.example; script-src *",
        "https://user:secret@app.example.org/",
        "https:///token",
        "/with space",
        "/with#fragment",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    """What would open the policy further, carries a password, or cannot be asked, is refused with the remedy."""
    with pytest.raises(ValidationError, match="must be a path on the same host or an http"):
        DashboardSettings(token_url=url)
