"""What a request below ``/api/`` asks for, read from its query without deciding anything.

Pure. What is wrong is a 400 that names the parameter. Parameters that are not known are ignored, as unknown fields of
messages are, and so are empty ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from relay import jsontext
from relay.gateway.http import RefusedByHttp
from relay.messages import requests

__all__ = ["MOST_SECONDS", "Ask", "read_events", "read_snapshot"]

#: Seconds that a poll may wait: proxies between commonly give up on a request after 30 or 60.
MOST_SECONDS = 25.0
#: Rows of a snapshot if the request does not say.
ROWS = 100

_EVENTS = frozenset({"channels", "filters", "views", "snapshot", "since", "wait"})
_SNAPSHOT = frozenset({"channel", "filter", "rows"})
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)
_WHOLE_NUMBER = re.compile(r"\d{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ask:
    """A subscribe, and how many seconds the client is ready to wait for news."""

    request: requests.Subscribe
    wait: float


def read_events(query: str) -> Ask:
    """What ``/api/events`` is asked for. Raises RefusedByHttp."""
    given = _parameters(query, _EVENTS)
    fields: dict[str, Any] = {"channels": given.get("channels", "").split(",")}
    if "channels" not in given:
        raise _bad("channels is missing; list them with commas between")
    for name in ("filters", "views"):
        if name in given:
            fields[name] = _json(name, given[name], "an object by channel")
    if "snapshot" in given:
        fields["snapshot"] = _rows("snapshot", given["snapshot"])
    fields["since"] = given.get("since")
    wait = MOST_SECONDS
    if "wait" in given:
        if not _NUMBER.fullmatch(given["wait"]) or float(given["wait"]) > MOST_SECONDS:
            raise _bad(f"wait must be a number of seconds from 0 to {MOST_SECONDS:g}")
        wait = float(given["wait"])
    return Ask(_subscribe(fields), wait)


def read_snapshot(query: str) -> requests.Subscribe:
    """What ``/api/snapshot`` is asked for: a subscribe to one channel. Raises RefusedByHttp."""
    given = _parameters(query, _SNAPSHOT)
    if "channel" not in given:
        raise _bad("channel is missing; name one")
    name = given["channel"]
    rows = _rows("rows", given["rows"]) if "rows" in given else ROWS
    if not rows:
        raise _bad(f"rows must be an integer from 1 to {requests.SNAPSHOT_ROWS}")
    fields: dict[str, Any] = {"channels": [name], "snapshot": rows}
    if "filter" in given:
        fields["filters"] = {name: _json("filter", given["filter"], "a filter, an object")}
    return _subscribe(fields)


def _parameters(query: str, known: frozenset[str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, errors="strict")
    except ValueError:
        raise _bad("the query is not in UTF-8") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in known:
            if name in given:
                raise _bad(f"{name} is given twice; give it once")
            given[name] = value
    return given


def _json(name: str, text: str, what: str) -> Any:
    try:
        return jsontext.decode(text)
    except (ValueError, RecursionError, ArithmeticError):
        raise _bad(f"{name} must be JSON: {what}") from None


def _rows(name: str, text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) > requests.SNAPSHOT_ROWS:
        raise _bad(f"{name} must be an integer from 0 to {requests.SNAPSHOT_ROWS}")
    return int(text)


def _subscribe(fields: dict[str, Any]) -> requests.Subscribe:
    try:
        return requests.subscribe(fields)
    except requests.BadRequest as bad:
        raise _bad(bad.message) from None


def _bad(message: str | None) -> RefusedByHttp:
    return RefusedByHttp("bad_request", message)
