"""How soon a relay that is awake polls again."""

from __future__ import annotations

from relay.capture.loop import pause


def test_much_at_once_makes_polls_rarer() -> None:
    """A few rows are followed by the configured pause; many, by a longer one, in which the next are gathered."""
    assert pause(0.003, 0) == pause(0.003, 5) == 0.003
    assert pause(0.003, 16) == pause(0.003, 5000) > 0.003
