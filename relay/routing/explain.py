"""Why somebody gets, or does not get, an event, and what it looks like to them.

The answer is found by the code that decides for subscribers, not told a second time in other words: what is added here
are the conditions one by one, and a sentence for each verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay import jsontext
from relay.errors import FilterRefused
from relay.routing import filters
from relay.routing.breaks import breaks
from relay.routing.channel import Channel
from relay.routing.conditions import EVERY_FIELD, Condition, Row
from relay.routing.event import Prepared, PreparedEvent
from relay.routing.filters import FilterLimits
from relay.routing.policies import Grants
from relay.routing.projection import UNSCANNED
from relay.routing.render import Verdict, decide, message
from relay.routing.view import View

__all__ = ["Account", "Check", "Question", "accounts"]

_WHY: Mapping[Verdict, str] = {
    Verdict.CREATED: "a new row that policy and filter match",
    Verdict.UPDATED: "the row was theirs to see before and is now, and something of what they see changed",
    Verdict.ENTERED: "the row did not match the filter before and does now",
    Verdict.DISCLOSED: "the row is theirs to see; what it was before is not known, so it is sent whole",
    Verdict.ENTERED_SCOPE: "the row was not theirs to see before and is now",
    Verdict.LEFT: "the row matched the filter before and does not now; it is still theirs to see",
    Verdict.LEFT_ID: "the row was theirs before and is not any more, or may not be: its id is all that is told",
    Verdict.DELETED: "a row that was theirs, or may have been, is gone",
    Verdict.WITHHELD: "the row is quarantined; without a scope they are told that there is one",
    Verdict.RESYNC: "whether the row was theirs cannot be told, so they start over",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One condition and what it said of the row before and after; None where there is no such row.

    ``values`` are the field's values before and after, as the condition saw them: unmasked.
    """

    condition: str
    before: bool | None
    after: bool | None
    values: tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """One event on one channel for one person. ``event`` is its id as clients see it, "" where none is told.

    ``masks`` are those on the channel by field, ``removed`` the fields from which the last-line scan took something.
    ``message`` is what would be sent, decoded; None if nothing is.
    """

    channel: str
    event: str
    verdict: str
    why: str
    quarantined: str = ""
    scope: tuple[Check, ...] = ()
    filter: tuple[Check, ...] = ()
    masks: Mapping[str, str] | None = None
    removed: tuple[str, ...] = ()
    message: Any = None


@dataclass(frozen=True, slots=True)
class Question:
    """What ``asked``, the id of an event, means for a person with ``grants``.

    ``together`` are the ids of all changes of its row in its transaction, ``prepared`` what they mean for the channels.
    ``lost`` says why the token does not get channels that its policy names, ``wanted`` is a client's filter.
    """

    asked: int
    together: frozenset[int]
    prepared: Prepared
    grants: Grants | None
    lost: Mapping[str, str]
    wanted: Any
    limits: FilterLimits


def accounts(channels: Iterable[Channel], of: Question) -> Iterator[Account]:
    """What becomes of the event on each of ``channels``."""
    grants = of.grants
    for channel in channels:
        if grants is None or channel.name not in grants.channels:
            why = of.lost.get(channel.name, "the policy that decides does not grant the channel")
            yield Account(channel.name, "", "not granted", "no policy matches" if grants is None else why)
            continue
        try:
            view = grants.view(
                channel, filters.parse(of.wanted, grants.projection(channel).filterable, of.limits)
            )
        except FilterRefused as refused:
            yield Account(channel.name, "", "refused", f"the subscription would be refused: {refused}")
            continue
        yield from _told(view, of)


def _told(view: View, of: Question) -> Iterator[Account]:
    name, told = view.channel.name, False
    # Folded, a change is told with the last of its row in its transaction.
    ids = of.together if view.channel.coalesce else {of.asked}
    for each in breaks(view, of.prepared):
        told = True
        yield Account(name, "", "resync", f"what they have is void: {each.reason}")
    for event in of.prepared.events:
        # Behind a dot: the other half of a changed key, or the row that a changed look-up is news for.
        if event.channel == name and int(event.id.partition(".")[0]) in ids and not event.fleeting:
            told = True
            yield _account(view, event)
    if not told:
        why = "nothing of it is told here: it was folded away, or changes nothing that the channel is made of"
        yield Account(name, "", Verdict.NOTHING.value, why)


def _account(view: View, event: PreparedEvent) -> Account:
    verdict = decide(view, event)
    sent = None
    if verdict not in (Verdict.NOTHING, Verdict.RESYNC):
        sent = jsontext.decode(message(view.channel, view.projection, event, verdict))
    changed: Collection[str] = EVERY_FIELD
    if event.old is not None and event.new is not None:
        changed = event.changed(view.projection)
    present = event.new if event.new is not None else {}
    return Account(
        channel=view.channel.name,
        event=event.id,
        verdict=verdict.value,
        why=_WHY.get(verdict) or _why_nothing(view, event),
        quarantined=event.fault,
        scope=tuple(_checks(view.scope.conditions, event, changed)),
        filter=tuple(_checks(view.filter.conditions, event, changed)),
        masks=view.projection.masks,
        removed=tuple(present.get(UNSCANNED, ())),
        message=sent,
    )


def _why_nothing(view: View, event: PreparedEvent) -> str:
    if event.fault:
        return "the row is quarantined, and under a scope not even that is told of a row that was not theirs"
    rows = [row for row in (event.old, event.new) if row is not None]
    if not rows:
        return "the row is not known"
    if not any(map(view.allows, rows)):
        return "the policy's scope does not match the row"
    if event.old is not None and event.new is not None and view.allows(event.old) and view.allows(event.new):
        changed = event.changed(view.projection)
        if not changed:
            return "nothing of what they see changed"
    return "the filter does not match the row"


def _checks(
    conditions: Sequence[Condition], event: PreparedEvent, changed: Collection[str]
) -> Iterator[Check]:
    for one in conditions:
        old, new = _tested(one, event.old, ()), _tested(one, event.new, changed)
        values = (_value(one, event.old), _value(one, event.new))
        yield Check(f"{one.field} {one.op} {jsontext.encode(one.operand).decode()}", old, new, values)


def _tested(one: Condition, row: Row | None, changed: Collection[str]) -> bool | None:
    return None if row is None else one.test(row, changed)


def _value(one: Condition, row: Row | None) -> Any:
    return None if row is None else row[one.field]
