"""The one table of what can go wrong between a client and the relay, and what each thing looks like on the
wire.

Before the WebSocket upgrade a code is an HTTP status with a JSON body; afterwards it is an ``error`` or
``goodbye`` message and, where the connection cannot go on, a close code. docs/protocol.md is checked
against this table.

The relay never closes with 1000 or 1001: shipped clients take both as "finished for good" and do not come
back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CODES",
    "RECOUNT_REASONS",
    "RESYNC_REASONS",
    "UNSUBSCRIBED_REASONS",
    "Code",
    "code_for_close",
]


@dataclass(frozen=True, slots=True)
class Code:
    """One row. ``close`` None: the connection goes on. ``http`` None: cannot happen before the upgrade.

    ``carrier``: the message that brings it, or ``answer`` where it can only be an HTTP answer.
    ``retryable``: the same client may try again, with a fresh token where the token was the trouble, and
    may succeed without anybody changing anything. ``message`` is the default text for people; it never
    holds a token or row content.
    """

    name: str
    message: str
    retryable: bool
    http: int | None = None
    close: int | None = None
    carrier: Literal["error", "goodbye", "answer"] = "error"


_ROWS = (
    # The token.
    Code("token_missing", "no token came with the connection in time", False, 401, 4001),
    Code("token_invalid", "the token is not one this relay accepts", False, 401, 4001),
    Code("token_expired", "the token has expired; connect with a fresh one", True, 401, 4001),
    Code("token_revoked", "access was withdrawn; sign in again", False, 403, 4003),
    Code("keys_unavailable", "tokens cannot be checked at the moment", True, 503, 1013),
    Code("subject_changed", "a refresh must bring a token of the same subject", False, None, 4003),
    Code("forbidden", "no policy grants this token anything here", False, 403, 4003),
    Code(
        "origin_refused", "this Origin is not allowed; list it in server.origins", False, 403, None, "answer"
    ),
    # The request.
    Code("bad_request", "the HTTP request is malformed", False, 400, None, "answer"),
    Code("not_found", "there is nothing at this path", False, 404, None, "answer"),
    Code("method_not_allowed", "this path does not answer this method", False, 405, None, "answer"),
    Code("uri_too_long", "the request line is too long", False, 414, None, "answer"),
    Code(
        "upgrade_required", "this path speaks WebSocket; send an Upgrade request", False, 426, None, "answer"
    ),
    Code("headers_too_large", "the request header is too large", False, 431, None, "answer"),
    # Limits.
    Code("too_many_connections", "this subject has too many connections open", True, 429, 4029),
    Code("connecting_too_often", "too many connections in the last minute; slow down", True, 429, 4029),
    Code("too_many_messages", "too many messages in the last minute; slow down", True, None, 4029),
    Code("too_many_subscriptions", "this connection has too many subscriptions", False),
    Code("server_full", "the relay has no room for more connections", True, 503, 1013),
    Code("overloaded", "the relay is at capacity; come back a little later", True, 503, 1013, "goodbye"),
    Code(
        "too_slow",
        "the connection is too slow for what it subscribed to; resume by cursor",
        True,
        None,
        1013,
        "goodbye",
    ),
    # Frames and messages.
    Code("binary_frame", "messages are JSON text; binary frames are refused", False, None, 1003),
    Code("message_too_big", "the message is longer than this relay reads", False, None, 1009),
    Code("protocol_error", "the WebSocket protocol was violated", False, None, 1002),
    Code("malformed", "a message is one JSON object with a string type", False, None, 1002),
    Code("not_json", "a message is JSON text in UTF-8", False, None, 1007),
    Code("invalid_request", "a field of the message has the wrong type", False),
    Code("unknown_type", "there is no message of this type", False),
    Code("busy", "too many requests of this connection wait for their turn", True),
    # Subscribing.
    Code("unknown_channel", "there is no such channel for this token", False, 404),
    Code("filter_refused", "the filter names an unknown field or operator", False, 400),
    Code("not_subscribed", "this channel is not subscribed", False),
    Code("snapshot_failed", "the snapshot could not be taken; the subscription has ended", True, 503),
    Code("capture_degraded", "the database cannot be read at the moment", True, 503, 1013, "goodbye"),
    # Our side.
    Code("internal", "something failed on our side", True, 500, 1011),
    Code("restart", "the relay restarts; come back after the given pause", True, 503, 1012, "goodbye"),
)

#: Every code by its name.
CODES = {row.name: row for row in _ROWS}

#: The word in ``unsubscribed.reason``.
UNSUBSCRIBED_REASONS = {
    "requested": "the client asked for it",
    "not_granted": "the token, or the policies since a reload, no longer grant the channel",
    "removed": "the channel is no longer in the configuration",
    "filter_refused": "what the filter names is not granted any more",
    "snapshot_failed": "the snapshot could not be taken",
}

#: The word in ``resync.reason``. For people and logs: what a client does is the same whatever the word.
RESYNC_REASONS = {
    "cursor": "the cursor cannot be read",
    "epoch": "the cursor is of another database, or of one that was restored or promoted since",
    "future": "the cursor lies beyond what the database has, which lost commits or never made them",
    "witness": "the newest event the cursor covers is not there any more",
    "pruned": "events after the cursor may have been deleted",
    "too_far": "more events would have to be read than `capture.replay_limit`",
    "view_changed": "the client brought another view, or a reload or refresh changed what it may see",
    "scope_changed": "a look-up that a policy depends on has changed",
    "row_unknown": "whether a row was the client's before it changed or went cannot be told",
    "unreadable_row": "an event of the channel could not be read",
    "capture_changed": "the capture of the table was interrupted or changed",
    "truncated": "the table was emptied with TRUNCATE",
    "overflow": "more events came at once than the relay holds",
    "overtaken": "what happened meanwhile made the snapshot or replay on its way worthless",
    "reconnected": "the connection to the database was lost, and what was on its way with it",
}

#: The word in ``recount.reason``, beside those of ``resync`` that tell of a broken history.
RECOUNT_REASONS = {
    "start": "the relay has begun, or the aggregate is new, and it has not been counted yet",
    "reconnected": "the connection to the database was lost",
    "truncated": "a table was emptied with TRUNCATE",
    "row_unknown": "a row came or went whose columns were not captured",
    "overflow": "more changes came while counting began than the relay holds",
    "clock": "the clock of the database went back",
    "failed": "something failed on our side",
    "capture_changed": "the capture of a table was interrupted or changed",
}

_BY_LIBRARY = {1002: "protocol_error", 1003: "binary_frame", 1007: "not_json", 1009: "message_too_big"}


def code_for_close(close: int) -> Code:
    """The row for a close code that the WebSocket library chose by itself; anything unforeseen is
    ``internal``."""
    return CODES[_BY_LIBRARY.get(close, "internal")]
