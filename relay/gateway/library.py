"""The logger given to the WebSocket library, which must never write down a token.

At DEBUG the library logs whole request lines, and with them ``?token=``. So it gets a logger of its own
that is never below WARNING, whatever the root logger is set to, and whose records are scrubbed all the
same.
"""

from __future__ import annotations

import logging
import re

__all__ = ["LOGGER", "scrub"]

_SECRETS = re.compile(r"(?i)(token=|bearer[.\s]+|\beyJ)[^\s\"'&,;]+")


def scrub(text: str) -> str:
    """``text`` with everything that could be a token taken out."""
    return _SECRETS.sub(lambda found: f"{found[1]}[removed]", text)


class _Scrubber(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = scrub(record.getMessage()), None
        if record.exc_info:
            kind = record.exc_info[0]
            # The text of an exception may quote the request; its kind and the place it came from do not.
            record.exc_info = None
            record.exc_text = f"{kind.__name__}" if kind else None
        return True


def _quiet(name: str) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    logger.addFilter(_Scrubber())
    return logger


#: For :func:`websockets.asyncio.server.serve`.
LOGGER = _quiet("relay.gateway.library")
