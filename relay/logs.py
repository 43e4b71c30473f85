"""What the relay writes about itself: lines of JSON unless on a terminal, no token, no row content.

Everything takes the same way out, the standard library's loggers included: websockets and psycopg log through
them. The removal of secrets is the last step before a line is rendered, so it also covers tracebacks and
other people's loggers. It is a net, not a licence: code must not log such values in the first place.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from relay.config import LogSettings

__all__ = ["configure", "redact"]

REMOVED = "[removed]"

_SECRETS = (
    # A JWT in its compact form (RFC 7519 §3): a header begins with {" and so always encodes to eyJ.
    (re.compile(r"eyJ[\w-]{5,}(?:\.[\w-]*){1,4}"), REMOVED),
    (re.compile(r"(?i)\b((?:access_)?token|password|secret|passwd)=[^&\s'\"]+"), rf"\1={REMOVED}"),
    (re.compile(r"(?i)\bbearer([ .])[^\s,;'\"]+"), rf"bearer\1{REMOVED}"),
    (re.compile(r"(\w://[^\s:/@]+):[^\s@/]+@"), rf"\1:{REMOVED}@"),  # user:password@ of a URL
    # Where libraries quote rows: PostgreSQL in DETAIL and in "(...) at parameter", pydantic in input_value.
    (re.compile(r"(?m)(DETAIL|CONTEXT):.*"), rf"\1: {REMOVED}"),
    (re.compile(r"input_value=.*?, input_type="), f"input_value={REMOVED}, input_type="),
)

#: These log whole frames and requests at DEBUG, which is row content and tokens.
_NEVER_DEBUG = ("websockets", "websockets.server", "websockets.client", "psycopg", "psycopg.pool", "asyncio")


def configure(
    settings: LogSettings, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ
) -> None:
    """Send all logging to ``stream`` (standard error) as ``settings`` say. May be called again."""
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    terminal = stream.isatty()
    as_json = settings.format == "json" or (settings.format == "auto" and not terminal)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Any = structlog.processors.JSONRenderer(default=str)
    if not as_json:
        colors = terminal and not environ.get("NO_COLOR")
        renderer = structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="at")
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _NEVER_DEBUG:
        logging.getLogger(name).setLevel(max(level, logging.INFO))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a later configure() must reach loggers that exist already
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every string of the event without what looks like a secret or a row."""
    for key, value in event.items():
        event[key] = _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        for pattern, replacement in _SECRETS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _clean(str(value))
