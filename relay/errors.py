"""Every error the relay raises on purpose, in one tree.

    RelayError                       exit 1   anything that went wrong and is understood
    ├── UsageError                   exit 2   the command line makes no sense
    ├── ConfigError                  exit 3   a setting is missing, unknown or wrong
    │   └── MappingError             exit 3   a channel names what the database does not have or does not watch
    ├── DatabaseError                exit 4   Postgres cannot be used as configured
    │   ├── DatabaseUnreachable               no connection: address, password, network
    │   ├── NotPrimary                        a standby: its snapshots cannot be trusted
    │   ├── PoolerInPath                      LISTEN is swallowed by a transaction pooler
    │   ├── SchemaMismatch                    schema relay is absent, older or newer than this version
    │   ├── ForeignOutbox                     the outbox belongs to another cluster or database
    │   ├── CaptureDegraded                   the capture side is down at the moment
    │   └── LookUpRefused                     a look-up that fails for the values it was given
    ├── BadOutboxRow                          one outbox row that cannot be read
    ├── CursorInvalid                         a cursor that is no cursor
    ├── ResumeRefused                         a cursor that cannot be honoured; ``reason`` goes to the client
    ├── RowInvalid                            a captured row that fails validation; it is quarantined
    ├── FilterRefused                         a subscriber's filter that names what it may not
    ├── TokenRefused                          a token that is missing, forged, expired or revoked
    └── Overloaded                            a bounded queue is full; ``retry_after_ms`` says when to come back
        └── TookTooLong                       one answer took longer than it may

A message is one line: what is wrong, then what to do. It never holds row content or a token.
"""

from __future__ import annotations

__all__ = [
    "BadOutboxRow",
    "CaptureDegraded",
    "ConfigError",
    "CursorInvalid",
    "DatabaseError",
    "DatabaseUnreachable",
    "FilterRefused",
    "ForeignOutbox",
    "LookUpRefused",
    "MappingError",
    "NotPrimary",
    "Overloaded",
    "PoolerInPath",
    "RelayError",
    "ResumeRefused",
    "RowInvalid",
    "SchemaMismatch",
    "TokenRefused",
    "TookTooLong",
    "UsageError",
]


class RelayError(Exception):
    """Root of the tree. ``exit_code`` is what the command line returns for it."""

    exit_code = 1


class UsageError(RelayError):
    """The command line makes no sense."""

    exit_code = 2


class ConfigError(RelayError):
    """A setting is missing, unknown or wrong."""

    exit_code = 3


class MappingError(ConfigError):
    """A channel names a table, column, look-up or claim that is not there or not watched."""


class DatabaseError(RelayError):
    """Postgres cannot be used as configured."""

    exit_code = 4


class DatabaseUnreachable(DatabaseError):
    """No connection could be made."""


class NotPrimary(DatabaseError):
    """The server is a standby; a standby's snapshots have an empty xip, so exact reading is impossible there."""


class PoolerInPath(DatabaseError):
    """A notification sent by another session was not heard: something between us and Postgres swallows LISTEN."""


class SchemaMismatch(DatabaseError):
    """Schema ``relay`` is absent, or its version is not the one this program works with."""


class ForeignOutbox(DatabaseError):
    """The outbox was written by another cluster or database (restored or replicated)."""


class CaptureDegraded(DatabaseError):
    """The database cannot be read at the moment; the relay is trying again."""


class LookUpRefused(DatabaseError):
    """A look-up that fails for the values it was given (a key that is no number, say); for others it may well work."""


class BadOutboxRow(RelayError):
    """One outbox row that cannot be read. ``event_id`` names it; its content is never repeated."""

    def __init__(self, event_id: int | None, why: str) -> None:
        self.event_id = event_id
        super().__init__(f"outbox row {event_id} cannot be read: {why}")


class CursorInvalid(RelayError):
    """A cursor that cannot be decoded. The client gets ``resync``, as for any cursor that cannot be honoured."""


class ResumeRefused(RelayError):
    """A well-formed cursor that cannot be honoured. ``reason`` is the word the client sees in ``resync``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the cursor cannot be honoured: {reason}")


class RowInvalid(RelayError):
    """A captured row that fails validation. ``field`` names the culprit; the value is never repeated."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        super().__init__(f"field {field}: {why}")


class FilterRefused(RelayError):
    """A subscriber's filter that names an unknown or forbidden field, or an operator that does not exist."""


class TokenRefused(RelayError):
    """A token that is missing, forged, expired or revoked. ``code`` is the error code of the wire protocol."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class Overloaded(RelayError):
    """A bounded queue is full. ``retry_after_ms`` is the hint for the client."""

    def __init__(self, what: str, retry_after_ms: int = 1000) -> None:
        self.retry_after_ms = retry_after_ms
        super().__init__(f"{what} is at capacity; try again in {retry_after_ms} ms")


class TookTooLong(Overloaded):
    """A statement that answers one client's question took longer than it may. Asking again at once will not help."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what)
        self.args = (
            f"{what} took longer than database.snapshot_timeout_seconds ({seconds:g} s); see to an index for it",
        )
