"""Frames built here are frames to the WebSocket library."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from relay.gateway.wire import PING, text_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_text_frame_is_what_the_library_would_write(size: int) -> None:
    """A message of any size becomes the same bytes as in the library, at each of the three header forms."""
    message = b"x" * size
    assert text_frame(message) == Frame(Opcode.TEXT, message).serialize(mask=False)


def test_a_ping_is_what_the_library_would_write() -> None:
    """The ready-made ping is a ping without payload."""
    assert Frame(Opcode.PING, b"").serialize(mask=False) == PING
