"""docs/protocol.md says what the code does: every message, field, code and reason, and none that is not
there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from relay.messages import frames, requests
from relay.messages.codes import CODES, RECOUNT_REASONS, RESYNC_REASONS, UNSUBSCRIBED_REASONS

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"

CLOSES = {
    1002: "the WebSocket protocol was violated, or a message is no object with a type",
    1003: "a binary frame",
    1007: "a message is not JSON",
    1009: "a message is too big",
    1011: "our fault",
    1012: "restart or deploy",
    1013: "overloaded, or the client was too slow",
    4001: "the token is missing, invalid or expired",
    4003: "forbidden or revoked",
    4029: "too many messages, or too many connections where the token came as the first message",
}


def table(head: str, rows: list[str]) -> str:
    """A Markdown table."""
    return "\n".join([f"| {head} |", "|" + "---|" * (head.count(" | ") + 1), *(f"| {row} |" for row in rows)])


def reasons(words: Mapping[str, str]) -> str:
    """The table of a set of reasons."""
    return table("reason | meaning", [f"`{word}` | {meaning}" for word, meaning in words.items()])


def codes() -> str:
    """The table of codes."""
    return table(
        "code | message | retry | HTTP | close | meaning",
        [
            f"`{row.name}` | {'–' if row.carrier == 'answer' else f'`{row.carrier}`'} | "
            f"{'yes' if row.retryable else 'no'} | {row.http or '–'} | {row.close or '–'} | {row.message}"
            for row in CODES.values()
        ],
    )


def closes() -> str:
    """The table of close codes."""
    return table(
        "close | meaning | codes",
        [
            f"{close} | {meaning} | {', '.join(f'`{row.name}`' for row in CODES.values() if row.close == close)}"
            for close, meaning in CLOSES.items()
        ],
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("codes", codes()),
        ("closes", closes()),
        ("unsubscribed reasons", reasons(UNSUBSCRIBED_REASONS)),
        ("resync reasons", reasons(RESYNC_REASONS)),
        ("recount reasons", reasons(RECOUNT_REASONS)),
    ],
    ids=["codes", "closes", "unsubscribed", "resync", "recount"],
)
def test_the_tables_are_those_of_the_code(name: str, expected: str) -> None:
    """Between its two comments the document holds exactly the table that the code gives."""
    block = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- end -->", DOCUMENT.read_text(), re.DOTALL)
    assert block is not None
    assert block[1] == expected, f"put this into {DOCUMENT.name}:\n{expected}"


def test_every_close_code_is_explained() -> None:
    """The close codes that are documented are those that are used."""
    assert set(CLOSES) == {row.close for row in CODES.values()} - {None}


def documented(heading: str) -> dict[str, set[str]]:
    """Type and fields of every message in the table under ``heading``."""
    section = DOCUMENT.read_text().split(f"## {heading}\n")[1].strip().split("\n\n")[0]
    found = {}
    for line in section.splitlines()[2:]:
        kind, fields, _ = (cell.strip() for cell in line.strip("|").split(" | ", 2))
        found[kind.strip("`")] = set(re.findall(r"`(\w+)`", fields))
    return found


def test_every_server_message_is_documented_with_its_fields() -> None:
    """The table of server messages has each message of the code and each of its fields."""
    expected = {}
    for model in frames.SERVER_MESSAGES:
        kind = model.model_fields["type"].default if model is not frames.Data else "the channel's message"
        expected[kind] = set(model.model_fields) - {"type"}
    assert documented("What the relay sends") == expected


def test_every_client_message_is_documented_with_its_fields() -> None:
    """The table of client messages has each message of the code and each of its fields."""
    expected = {
        model.model_fields["type"].default: set(model.model_fields) - {"type"}
        for model in requests.CLIENT_MESSAGES
    }
    assert documented("What a client sends") == expected


def test_the_version_is_the_one_spoken() -> None:
    """The document is about the protocol version that ``welcome`` tells."""
    assert DOCUMENT.read_text().startswith(f"# The wire protocol, version {frames.PROTOCOL}\n")
