"""Logs are JSON unless on a terminal, and nothing that looks like a token or a row gets into them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from relay import logs
from relay.config import LogSettings

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging is as it was when a test is over."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def _configured(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(LogSettings(**settings), stream, {})
    return stream


def test_a_line_is_one_json_object() -> None:
    """Into a file or pipe each event is one JSON object with time, level, logger and its values."""
    stream = _configured()
    structlog.get_logger("relay.test").info("connected", subject="42", attempts=3)
    event = json.loads(stream.getvalue())
    assert event.pop("at").endswith("Z")
    assert event == {
        "event": "connected",
        "level": "info",
        "logger": "relay.test",
        "subject": "42",
        "attempts": 3,
    }


def test_the_standard_library_takes_the_same_way() -> None:
    """What websockets and psycopg log comes out as JSON too."""
    stream = _configured()
    logging.getLogger("psycopg").warning("lost %s", "it")
    assert json.loads(stream.getvalue())["event"] == "lost it"


def test_a_terminal_gets_readable_lines() -> None:
    """On a terminal lines are for people, coloured unless NO_COLOR is set; format = json insists on JSON."""
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        terminal = Terminal()
        logs.configure(LogSettings(), terminal, environ)
        structlog.get_logger("relay").info("ready")
        assert "ready" in terminal.getvalue()
        assert ("\x1b[" in terminal.getvalue()) is coloured
    terminal = Terminal()
    logs.configure(LogSettings(format="json"), terminal, {})
    structlog.get_logger("relay").info("ready")
    assert json.loads(terminal.getvalue())["event"] == "ready"


def test_the_level_is_respected() -> None:
    """Events below logging.level are not written."""
    stream = _configured(level="warning")
    structlog.get_logger("relay").info("quiet")
    structlog.get_logger("relay").warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_frames_are_never_logged_at_debug() -> None:
    """websockets logs whole frames and headers at DEBUG; they stay out even if the level is debug."""
    stream = _configured(level="debug")
    structlog.get_logger("relay").debug("ours")
    logging.getLogger("websockets.server").debug("theirs")
    assert "ours" in stream.getvalue()
    assert "theirs" not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"GET /ws/?token={JWT} HTTP/1.1", "GET /ws/?token=[removed] HTTP/1.1"),
        ("GET /ws/?a=1&token=opaque&b=2", "GET /ws/?a=1&token=[removed]&b=2"),
        (f"got {JWT}, no good", "got [removed], no good"),
        ("Authorization: Bearer opaque", "Authorization: bearer [removed]"),
        ("relay.v1, bearer.opaque", "relay.v1, bearer.[removed]"),
        ("postgresql://relay:geheim@db/payments", "postgresql://relay:[removed]@db/payments"),
        ("host=db password=geheim user=relay", "host=db password=[removed] user=relay"),
        (
            "null value\nDETAIL:  Failing row contains (7, ada@x).\nmore",
            "null value\nDETAIL: [removed]\nmore",
        ),
        (
            "amount [type=decimal_type, input_value='ada@x', input_type=str]",
            "amount [type=decimal_type, input_value=[removed], input_type=str]",
        ),
        ("an ordinary line about a token", "an ordinary line about a token"),
    ],
)
def test_secrets_and_rows_are_removed(text: str, kept: str) -> None:
    """Tokens, passwords and quoted rows are replaced wherever they stand in an event; the rest stays."""
    for event in ({"event": text}, {"event": "x", "list": [{"deep": text}]}, {"event": ValueError(text)}):
        cleaned = str(logs.redact(None, "", dict(event)))
        assert kept.replace("\n", "\\n") in cleaned.replace("\n", "\\n")
        assert "geheim" not in cleaned
        assert "opaque" not in cleaned


def test_tracebacks_are_cleaned_too() -> None:
    """An exception's text goes through the same removal."""
    stream = _configured()
    try:
        raise ValueError(f"bad token={JWT}")
    except ValueError:
        structlog.get_logger("relay").exception("failed")
        logging.getLogger("asyncio").exception("failed")
    assert stream.getvalue().count("ValueError: bad token=[removed]") == 2
    assert JWT not in stream.getvalue()
