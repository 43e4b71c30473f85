"""The report of a storm that went wrong: what, when, and what happened around it.

The whole diaries of the subscribers concerned are files beside the relays' logs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from relay.capture.cursor import Cursor
from tests.support.chaos.memory import Frame
from tests.support.chaos.plan import Plan
from tests.support.chaos.relays import Relay
from tests.support.chaos.subscribers import Subscriber
from tests.support.chaos.troubles import Troubles

__all__ = ["report"]

#: Seconds before and after the first wrong event that are shown, and how many lines of each thing.
AROUND = 1.5
LINES = 40


def report(
    plan: Plan,
    wrong: Sequence[str],
    subscribers: Sequence[Subscriber],
    troubles: Troubles,
    relays: Sequence[Relay],
) -> str:
    """Everything one needs to begin looking, compactly."""
    lines = [str(plan), *wrong[:LINES]]
    first = next((when for line in wrong if (when := _moment(line))), None)
    lines += ["", "troubles:"]
    lines += [f"  {_clock(at)} {what}" for at, what in troubles.log if first is None or abs(at - first) < 15]
    for subscriber in subscribers:
        mine = [line for line in wrong if line.startswith(f"{subscriber.name}: ")]
        when = next((when for line in mine if (when := _moment(line))), None)
        diary = relays[0].log.with_name(f"diary of {subscriber.name}")
        if mine:
            diary.write_text("\n".join(map(_entry, subscriber.diary)))
        if when is not None:
            near = [each for each in subscriber.diary if -AROUND < each[0] - when < AROUND / 3][-3 * LINES :]
            lines += ["", f"{diary}, around {_clock(when)}:", *map(_entry, near)]
    for relay in relays:
        lines += ["", f"the end of {relay.log}:", *relay.log.read_text().splitlines()[-LINES // 4 :]]
    return "\n".join(lines)


def _moment(line: str) -> float | None:
    """The time that a complaint names: of arrival, or the event's in microseconds."""
    if found := re.search(r"@(\d+\.\d+) ", line):
        return float(found[1])
    if found := re.search(r"\bat (\d{16})\b|\bby (\d{16})\b|, (\d{16})\)", line):
        return int(found[1] or found[2] or found[3]) / 1e6
    return None


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _entry(entry: tuple[float, int, int, Frame]) -> str:
    at, session, relay, frame = entry
    return f"  {_clock(at)} session {session} relay {relay} {_short(frame)}"


def _short(frame: Frame) -> str:
    match frame["type"]:
        case "row_change":
            row = frame["data"]["row"]
            return (
                f"{frame['id']} {frame['channel']} {frame['data']['action']} {frame.get('membership', '')}"
                f" {list(row.values())[:2]} v{row.get('version')}"
            )
        case "checkpoint":
            cursor = Cursor.decode(frame["cursor"])
            return f"checkpoint {cursor.snapshot} witness {cursor.witness} as of {frame['as_of']}"
        case "snapshot":
            return (
                f"snapshot of {frame['channel']}, {len(frame['rows'])} rows, truncated: {frame['truncated']}"
            )
        case _:
            return str({name: value for name, value in frame.items() if name != "cursor"})
