"""One text message as the bytes of one WebSocket frame, as a server writes it: whole and unmasked (RFC 6455
§5.2).

Frames are built here rather than by the library because the same bytes go to every member of a group: they
are made once, and a connection does nothing but write them.
"""

from __future__ import annotations

from struct import pack

__all__ = ["PING", "text_frame"]

_TEXT = 0x81  # FIN, opcode text

#: A ping without payload. Its answer needs no bookkeeping: any byte from the client shows that it is alive.
PING = b"\x89\x00"


def text_frame(message: bytes) -> bytes:
    """``message``, UTF-8, as one unfragmented text frame."""
    size = len(message)
    if size < 126:
        return pack("!BB", _TEXT, size) + message
    if size < 65536:
        return pack("!BBH", _TEXT, 126, size) + message
    return pack("!BBQ", _TEXT, 127, size) + message
