"""Settings of the dashboard that the relay serves."""

from __future__ import annotations

import re

from pydantic import field_validator

from relay.config_kinds import Section

__all__ = ["DashboardSettings"]

HOST = r"[a-z0-9.-]+(:\d+)?|\[[0-9a-f:]+\](:\d+)?"  # no more than that: it becomes part of a security policy


class DashboardSettings(Section):
    """What the page is told."""

    token_url: str = ""  # empty: whoever looks at it brings a token

    @field_validator("token_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        here = re.fullmatch(r"/(?!/)[^\s#]*", value)
        elsewhere = re.fullmatch(rf"https?://({HOST})(/[^\s#]*)?", value, re.IGNORECASE)
        if value and not here and not elsewhere:
            raise ValueError(
                'must be a path on the same host or an http(s) address; write for instance "/api/relay-token/"'
            )
        return value
