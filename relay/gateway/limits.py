"""How often and how many: the arithmetic of limits, without a clock or a socket of its own.

Rates are token buckets: a minute's allowance may be used at once and refills evenly. A refused attempt
takes nothing from the bucket, so a client that hammers the door is let in at the allowed rate and never
locks itself out for good.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.config import LimitSettings

__all__ = ["Allowance", "Buckets", "Limits", "Refusal", "Seat", "network_of"]

_SWEEP_AT_LEAST = 1024


def network_of(address: str) -> str:
    """Who ``address`` counts as: an IPv4 address itself, an IPv6 address its /64, which is what one host is
    given."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


class Buckets:
    """One bucket per key, each holding ``per_minute`` attempts and refilling at that rate.

    A full bucket is as good as none, so full ones are swept away whenever their number has doubled: memory
    follows the number of keys seen within the last minute, whatever an attacker invents.
    """

    __slots__ = ("_levels", "_size", "_sweep_at")

    def __init__(self, per_minute: int) -> None:
        self._size = float(per_minute)
        self._levels: dict[str, tuple[float, float]] = {}
        self._sweep_at = _SWEEP_AT_LEAST

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, now: float) -> float:
        """Take one attempt for ``key`` at ``now`` (seconds). 0: taken. Else: seconds until there is one."""
        wait = self.wait(key, now)
        if not wait:
            self._levels[key] = (self._level(key, now) - 1.0, now)
            if len(self._levels) >= self._sweep_at:
                self._sweep(now)
        return wait

    def wait(self, key: str, now: float) -> float:
        """Seconds until ``take`` would succeed; nothing is taken."""
        missing = 1.0 - self._level(key, now)
        return 0.0 if missing <= 0 else missing * 60.0 / self._size

    def _level(self, key: str, now: float) -> float:
        level, at = self._levels.get(key, (self._size, now))
        return min(self._size, level + max(0.0, now - at) * self._size / 60.0)

    def _sweep(self, now: float) -> None:
        full = [key for key in self._levels if self._level(key, now) >= self._size]
        for key in full:
            del self._levels[key]
        self._sweep_at = max(_SWEEP_AT_LEAST, 2 * len(self._levels))


class Allowance:
    """One bucket of its own, for the messages of one connection."""

    __slots__ = ("_at", "_left", "_size")

    def __init__(self, per_minute: int, now: float) -> None:
        self._size = float(per_minute)
        self._left = self._size
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more is allowed at ``now``; it is taken."""
        self._left = min(self._size, self._left + max(0.0, now - self._at) * self._size / 60.0)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class Refusal:
    """An attempt that is over a limit. ``code`` is of the table of codes, ``retry_after`` in seconds."""

    code: str
    retry_after: float


@dataclass(slots=True)
class _Door:
    """The limits of one way in: how often, by address and by subject, and ``most`` of one subject at a time."""

    by_address: Buckets
    by_subject: Buckets
    most: int
    present: Counter[str] = field(default_factory=Counter)


class Limits:
    """All limits on connecting and polling. Every question takes ``now``, in seconds of one monotonic clock.

    A poll takes a seat as a connection does, but is counted by itself: it is over soon, and comes again.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._taken = 0
        self._present: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self.reconfigure(settings)

    def reconfigure(self, settings: LimitSettings) -> None:
        """Go on with other limits. Open connections keep their seats, rates begin anew."""
        self.settings = settings
        connections, polls = self._present
        self._connections = _Door(
            Buckets(settings.connects_per_minute_per_address),
            Buckets(settings.connects_per_minute_per_subject),
            settings.connections_per_subject,
            connections,
        )
        self._polls = _Door(
            Buckets(settings.polls_per_minute_per_address),
            Buckets(settings.polls_per_minute_per_subject),
            settings.polls_per_subject,
            polls,
        )
        self._bad_tokens = Buckets(settings.bad_tokens_per_minute_per_address)

    @property
    def taken(self) -> int:
        """Seats in use."""
        return self._taken

    def enter(self, address: str, now: float, *, poll: bool = False) -> Seat | Refusal:
        """A seat for a connection or poll from ``address`` whose subject is not known yet."""
        if self._taken >= self.settings.connections:
            return Refusal("server_full", 5.0)
        if wait := self._door(poll).by_address.take(network_of(address), now):
            return Refusal("connecting_too_often", wait)
        self._taken += 1
        return Seat(self, poll)

    def forgive(self, address: str, now: float) -> bool:
        """Count a bad token from ``address``. True: patience is left, and a browser may be told why by
        message."""
        return not self._bad_tokens.take(network_of(address), now)

    def _door(self, poll: bool) -> _Door:
        return self._polls if poll else self._connections

    def _claim(self, subject: str, now: float, *, poll: bool) -> Refusal | None:
        door = self._door(poll)
        if door.present[subject] >= door.most:
            return Refusal("too_many_connections", 5.0)
        if wait := door.by_subject.take(subject, now):
            return Refusal("connecting_too_often", wait)
        door.present[subject] += 1
        return None

    def _leave(self, subject: str | None, *, poll: bool) -> None:
        self._taken -= 1
        if subject is not None:
            present = self._door(poll).present
            present[subject] -= 1
            if not present[subject]:
                del present[subject]


class Seat:
    """The place of one connection or poll, given back exactly once however it ends."""

    __slots__ = ("_left", "_limits", "_poll", "_subject")

    def __init__(self, limits: Limits, poll: bool = False) -> None:
        self._limits = limits
        self._poll = poll
        self._subject: str | None = None
        self._left = False

    def claim(self, subject: str, now: float) -> Refusal | None:
        """Count this connection for ``subject``, once; or say why that is one too many."""
        if self._left:
            return None  # gone while its token was being checked: it would never be given back
        refusal = self._limits._claim(subject, now, poll=self._poll)
        if refusal is None:
            self._subject = subject
        return refusal

    def leave(self) -> None:
        """Give the seat back; again is harmless."""
        if not self._left:
            self._left = True
            self._limits._leave(self._subject, poll=self._poll)
