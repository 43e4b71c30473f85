"""What one storm is made of, drawn from a seed."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Plan", "seed_of_this_run"]

_VARIABLE = "RELAY_TEST_SEED"


def seed_of_this_run() -> int:
    """RELAY_TEST_SEED, to repeat a storm, or a new seed. What runs at once is not repeated to the microsecond."""
    return int(os.environ.get(_VARIABLE) or random.SystemRandom().randrange(10**9))


@dataclass(frozen=True)
class Plan:
    """One storm. Writers end after ``seconds``, or sooner once ``events`` are committed.

    ``crash_every``: seconds between kills of Postgres. ``forgetful``: it may then have forgotten commits, for most
    writers do not wait for theirs to be flushed (synchronous_commit = off).
    """

    seed: int
    relays: int
    seconds: float
    events: int = 10**9
    writers: int = 8
    crash_every: float = 12
    forgetful: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int, relays: int, seconds: float, **fixed: Any) -> Plan:
        """A plan whose relays run with sizes from ``seed``, small ones among them: the edges are there."""
        dice = random.Random(f"{seed} settings")
        sizes: dict[str, object] = {
            "CAPTURE__CHUNK_ROWS": dice.choice((50, 200, 1000)),
            "CAPTURE__RING_EVENTS": dice.choice((50, 500, 10_000)),
            "CAPTURE__POLL_INTERVAL_MS": dice.choice((2, 5, 20)),
            "CAPTURE__IDLE_AFTER_MS": dice.choice((30, 100, 250)),
            "LIMITS__HELD_EVENTS": dice.choice((100, 10_000)),
            "LIMITS__BUFFER_BYTES": dice.choice((32_768, 1_048_576)),
        }
        return cls(seed, relays, seconds, settings={k: str(v) for k, v in sizes.items()}, **fixed)

    def dice(self, name: str) -> random.Random:
        """Randomness for one part of the storm, whatever the other parts do."""
        return random.Random(f"{self.seed} {name}")

    def __str__(self) -> str:
        sizes = ", ".join(
            f"{name.partition('__')[2].lower()}={value}" for name, value in self.settings.items()
        )
        return f"{_VARIABLE}={self.seed}: {self.relays} relay(s), {self.writers} writers, {sizes}"
