"""``relay explain``: why a person gets, or does not get, an event, and what it looks like to them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from relay import jsontext
from relay.commands.shared import Commands, Screen, add_command, load_settings
from relay.commands.tail import parse_filter
from relay.commands.token import parse_claims
from relay.errors import RelayError, UsageError

if TYPE_CHECKING:
    from relay.capture.change import Change
    from relay.config import Settings
    from relay.routing.channel import Channel
    from relay.routing.policies import Grants

__all__ = ["register"]

DESCRIPTION = """\
Takes one event of the outbox, by the id that clients see, and holds it against the
configured policies for a person with these claims: which policy decides, what its scope
says of the row before and after, what a filter says, which masks apply, and the message.
Look-ups are asked now, so they may say something else than they did then. It reads with
the daemon's role. What it prints is row content: mind who reads along.

  relay explain --event 4711 --claim role=school_owner --claim 'school_ids=[1]'
  relay explain --event 4711 --claim is_superuser=true --filter '{"status": "failed"}' --json
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "explain", "say why a person gets an event, or does not", DESCRIPTION)
    parser.add_argument("--event", required=True, metavar="ID", help="the event's id, as clients see it")
    parser.add_argument("--claim", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--filter", metavar="JSON", help="as the person's client would subscribe with")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    claims, wanted = parse_claims(arguments.claim, registered=()), parse_filter(arguments.filter)
    event = _event_id(arguments.event)
    settings = load_settings(arguments)
    explanation = asyncio.run(_explain(settings, event, claims, wanted))
    if arguments.json:
        print(jsontext.encode(explanation).decode())
    else:
        _show(Screen(), explanation)
    return 0


def _event_id(text: str) -> int:
    # Behind a dot stands which of several messages about one event it was.
    number = text.partition(".")[0]
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise UsageError(f'"{text}" is no id of an event; give the id of a message, a number such as 4711')
    return int(number)


async def _explain(settings: Settings, event: int, claims: Mapping[str, Any], wanted: Any) -> dict[str, Any]:
    from relay.capture.inspection import Inspector
    from relay.routing.channel import compile_channels
    from relay.routing.explain import Question, accounts
    from relay.routing.policies import compile_policies
    from relay.routing.prepare import Preparer

    async with Inspector.connect(settings.database) as inspector:
        tables = await inspector.columns(channel.table for channel in settings.channels.values())
        channels = compile_channels(
            settings.channels,
            {source: table.types for source, table in tables.items()},
            {source: table.key for source, table in tables.items()},
        )
        policies = compile_policies(settings.policies, channels, settings.mask_key(), settings.aggregates)
        found = await inspector.changes(event)
        if found is None:
            raise RelayError(
                f"event {event} is not in the outbox: it was pruned, rolled back or never was; take a younger one, "
                "or raise capture.prune_keep_hours"
            )
        change, together = found
        prepared = await Preparer(channels, inspector).prepare(together)
    grants = policies.decide(claims)
    considered = list(policies.consider(claims))
    question = Question(
        asked=change.id,
        together=frozenset(each.id for each in together),
        prepared=prepared,
        grants=grants,
        lost={name: why for each in considered for name, why in each.lost.items()},
        wanted=wanted,
        limits=settings.limits,
    )
    told = list(accounts(_concerned(channels, change.source), question))
    return {
        "event": _facts(change),
        "policies": [asdict(each) for each in considered],
        "policy": grants.policy if grants is not None else None,
        "grants": sorted(grants.channels) if grants is not None else [],
        "channels": [asdict(each) for each in told],
        "aggregates": _counted(settings, change.source, grants),
        "failures": [fault.reason for fault in prepared.faults if not fault.event_id],
    }


def _facts(change: Change) -> dict[str, Any]:
    return {
        "id": str(change.id),
        "op": change.op,
        "source": change.source,
        "at": change.at.isoformat(),
        "transaction": str(change.xid),
        "captured": not change.key_only,
    }


def _concerned(channels: Mapping[str, Channel], source: str) -> Iterator[Channel]:
    """The channels that are made of ``source``, or look something up in it."""
    for channel in channels.values():
        if channel.source == source or any(source in each.reads for each in channel.lookups.values()):
            yield channel


def _counted(settings: Settings, source: str, grants: Grants | None) -> dict[str, bool]:
    """The aggregates that count ``source``, and whether the person sees them."""
    return {
        name: grants is not None and name in grants.channels
        for name, aggregate in settings.aggregates.items()
        if source in aggregate.columns
    }


def _show(screen: Screen, told: Mapping[str, Any]) -> None:
    event = told["event"]
    screen.line(
        f"{screen.strong('event ' + event['id'])}: {event['op']} of {event['source']} at {event['at']}, "
        f"transaction {event['transaction']}"
    )
    if not event["captured"] and event["op"] != "truncate":
        screen.line("  the row was not captured, only its key; relay status says what has drifted")
    for each in told["policies"]:
        unmet = each["unmet"]
        word = screen.good("decides") if unmet is None else f"does not match: claim {unmet}"
        screen.line(f'policy "{each["policy"]}" {word}')
    if told["policy"] is None:
        screen.line(screen.bad("nothing is granted, so this person cannot connect"))
    else:
        screen.line(f"  grants {', '.join(told['grants'])}")
    for failure in told["failures"]:
        screen.line(f"{screen.bad('failed')}: {failure}")
    for account in told["channels"]:
        _show_account(screen, account)
    for name, granted in told["aggregates"].items():
        screen.line(
            f"{screen.strong(name)}: counted there, {'seen' if granted else 'not seen'} by this person"
        )
    if not told["channels"] and not told["aggregates"]:
        screen.line(f"no channel is made of {event['source']}")


def _show_account(screen: Screen, account: Mapping[str, Any]) -> None:
    verdict = account["verdict"]
    paint = screen.bad if verdict in ("nothing", "not granted", "refused") else screen.good
    event = f" {account['event']}" if account["event"] else ""
    screen.line(f"{screen.strong(account['channel'])}{event}: {paint(verdict)}")
    screen.line(f"  why      {account['why']}")
    if account["quarantined"]:
        screen.line(f"  bad row  {account['quarantined']}")
    for word in ("scope", "filter"):
        for check in account[word]:
            screen.line(f"  {word:<8} {check['condition']}: {_outcome(check)}")
    for name, mask in (account["masks"] or {}).items():
        screen.line(f"  mask     {name}: {mask}")
    if account["removed"]:
        screen.line(f"  scan     removed something from {', '.join(account['removed'])}")
    if account["message"] is not None:
        screen.line(f"  message  {_json(account['message'])}")


def _outcome(check: Mapping[str, Any]) -> str:
    parts = []
    for when, value in zip(("before", "after"), check["values"], strict=True):
        if check[when] is not None:
            parts.append(f"{when} {'yes' if check[when] else 'no'} ({_json(value)})")
    return ", ".join(parts) or "the row is not known"


def _json(value: Any) -> str:
    return jsontext.encode(value).decode()
