"""The cursor: a position in the stream of changes that any relay, or the same one after a crash, can judge.

On the wire it is base64url, without padding, of

    version        1 byte
    epoch          system identifier 8, database oid 4, timeline 4, install id 16
    snapshot       xmax, number of running ids, the ids as distances downwards from xmax
    witness        0, or 1 followed by id, xid and time (microseconds since 1970)
    marks          number of marks, then source mark 4 and capture mark 4 for each

with every number that has no width here as a LEB128 varint. It is not signed: it says from where to read, and what is
read goes through today's policy.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self
from uuid import UUID
from zlib import crc32

from relay.capture.snapshot import FIRST_XID, Snapshot
from relay.errors import CursorInvalid

__all__ = ["CURSOR_CHARS", "CURSOR_XIDS", "Cursor", "Epoch", "Witness", "marks_of"]

CURSOR_CHARS: Final = 4096
CURSOR_XIDS: Final = 1000
CURSOR_MARKS: Final = 128

_VERSION: Final = 1
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH = struct.Struct(">QII16s")
_MARK = struct.Struct(">II")
_XID_MAX = 2**64 - 1
_ID_MAX = 2**63 - 1
_TIME_MAX = 10**17  # some time in the year 5138


@dataclass(frozen=True, slots=True)
class Epoch:
    """Within one epoch transaction ids and event ids mean the same thing.

    A promoted standby has another ``timeline``, a restored dump another ``system_identifier`` or ``database_oid``,
    and ``relay.reset()`` makes another ``install_id``.
    """

    system_identifier: int
    database_oid: int
    timeline: int
    install_id: UUID

    def __str__(self) -> str:
        return f"{self.system_identifier}.{self.database_oid}.{self.timeline:08X}.{self.install_id}"


@dataclass(frozen=True, slots=True)
class Witness:
    """The newest row a position covers: the greatest id of the greatest xid.

    As long as it exists, no id below its ``xid`` can be given out again: Postgres takes up its counter after the
    greatest id it finds in its log, and a committed row is in the log. (The row with the greatest ``id`` would not
    prove that: a younger transaction may own an older id.)

    ``at`` is part of it, for after a crash that lost commits (synchronous_commit = off) Postgres gives out the same
    event ids to the same transaction ids again, and a few payments later another row would stand in its place.
    """

    id: int
    xid: int
    at: datetime = _BEGINNING

    @property
    def order(self) -> tuple[int, int]:
        """By this the newest row is the greatest."""
        return self.xid, self.id


def marks_of(fingerprints: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
    """How each source was captured, small enough for a cursor: sorted pairs of checksums of source and fingerprint.

    A position says nothing about changes made while a trigger was off. The relay notices that while it runs; marks
    let it notice what happened while it did not run, or on another relay's watch.
    """
    pairs = sorted((crc32(source.encode()), crc32(text.encode())) for source, text in fingerprints.items())
    return tuple(pairs[:CURSOR_MARKS])


@dataclass(frozen=True, slots=True)
class Cursor:
    """A published position. ``snapshot`` is clamped and has at most ``CURSOR_XIDS`` running ids: see :meth:`of`."""

    epoch: Epoch
    snapshot: Snapshot
    witness: Witness | None
    marks: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(
        cls,
        epoch: Epoch,
        snapshot: Snapshot,
        witness: Witness | None,
        marks: tuple[tuple[int, int], ...] = (),
    ) -> Self:
        """A cursor for a clamped ``snapshot``, which is cut further where it would not fit."""
        cursor = cls(epoch, snapshot.at_most(CURSOR_XIDS), witness, marks)
        while len(cursor.encode()) > CURSOR_CHARS:
            # Ids far apart need up to ten bytes each. To see less is always true.
            fewer = cursor.snapshot.at_most(len(cursor.snapshot.xip) // 2)
            cursor = cls(epoch, fewer, witness, marks)
        return cursor

    def broken(self, fingerprints: Mapping[str, str]) -> frozenset[str]:
        """Those sources of ``fingerprints`` (as they are now) that were captured otherwise when this was issued."""
        then = set(self.marks)
        return frozenset(
            source
            for source, text in fingerprints.items()
            if (crc32(source.encode()), crc32(text.encode())) not in then
        )

    def encode(self) -> str:
        """The text form; url-safe."""
        epoch = self.epoch
        out = bytearray([_VERSION])
        out += _EPOCH.pack(
            epoch.system_identifier, epoch.database_oid, epoch.timeline, epoch.install_id.bytes
        )
        _put(out, self.snapshot.xmax)
        _put(out, len(self.snapshot.xip))
        above = self.snapshot.xmax
        for xid in sorted(self.snapshot.xip, reverse=True):
            _put(out, above - xid)
            above = xid
        if self.witness is None:
            out.append(0)
        else:
            out.append(1)
            _put(out, self.witness.id)
            _put(out, self.witness.xid)
            _put(out, (self.witness.at - _BEGINNING) // _MICROSECOND)
        _put(out, len(self.marks))
        for mark in self.marks:
            out += _MARK.pack(*mark)
        return base64.urlsafe_b64encode(out).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what :meth:`encode` wrote, and nothing else. Raises CursorInvalid."""
        if not 0 < len(text) <= CURSOR_CHARS:
            raise CursorInvalid("the cursor is empty or longer than any this relay gives out")
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            data = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error, ValueError):
            raise CursorInvalid("the cursor is not base64url") from None
        cursor = cls._read(_Bytes(data))
        if cursor.encode() != text:
            raise CursorInvalid("the cursor is not in its one canonical form")
        return cursor

    @classmethod
    def _read(cls, data: _Bytes) -> Self:
        if data.take(1)[0] != _VERSION:
            raise CursorInvalid("the cursor is of a version this relay does not know")
        system, database, timeline, install = _EPOCH.unpack(data.take(_EPOCH.size))
        xmax = data.number(FIRST_XID, _XID_MAX)
        xip, below = [], xmax
        for _ in range(data.number(0, CURSOR_XIDS)):
            below -= data.number(1, below - FIRST_XID)
            xip.append(below)
        witness = None
        if data.number(0, 1):
            event_id, xid = data.number(0, _ID_MAX), data.number(FIRST_XID, _XID_MAX)
            witness = Witness(event_id, xid, _BEGINNING + data.number(0, _TIME_MAX) * _MICROSECOND)
        marks = tuple(_MARK.unpack(data.take(_MARK.size)) for _ in range(data.number(0, CURSOR_MARKS)))
        if data.left:
            raise CursorInvalid("the cursor has something after its end")
        return cls(
            Epoch(system, database, timeline, UUID(bytes=install)), Snapshot.of(xmax, xip), witness, marks
        )


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


class _Bytes:
    """What is left to read of a cursor."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if self.left < size:
            raise CursorInvalid("the cursor is cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, least: int, most: int) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise CursorInvalid("the cursor holds a number that is out of range")
        if not least <= value <= most:
            raise CursorInvalid("the cursor holds a number that is out of range")
        return value
