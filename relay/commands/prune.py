"""``relay prune``: delete old events from the outbox now, instead of waiting for the daemon to do it."""

from __future__ import annotations

import argparse
import asyncio

from relay.commands.install import admin_dsn
from relay.commands.shared import Commands, Screen, add_command, duration, load_settings
from relay.config import Settings

__all__ = ["register"]

DESCRIPTION = """\
Deletes in batches until nothing older than --keep is left. A running daemon prunes by
itself; this is for an outbox that has grown while none was running, or for cron. Clients
that were away for longer than --keep get a fresh snapshot when they come back.
A position is noted at most every ten seconds and has to be older than --keep itself, so the
first run after an installation finds nothing to delete yet.

  relay prune
  relay prune --keep 2h
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "prune", "delete old events from the outbox", DESCRIPTION)
    parser.add_argument("--keep", help="as 90s, 15m, 24h or 7d (default: capture.prune_keep_hours)")
    parser.add_argument(
        "--dsn", help="connect with this instead of database.admin_dsn (default: database.dsn)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prune until nothing is left to prune."""
    keep = None if arguments.keep is None else duration(arguments.keep)
    settings = load_settings(arguments)
    if keep is None:
        keep = settings.capture.prune_keep_hours * 3600
    return asyncio.run(_prune(settings, *admin_dsn(settings, arguments.dsn), keep=keep))


async def _prune(settings: Settings, dsn: str, origin: str, *, keep: float) -> int:
    from relay.capture.admin import Administrator

    screen = Screen()
    batches = 1
    async with Administrator.connect(dsn, origin, settings.database.connect_timeout_seconds) as admin:
        while remaining := await admin.prune(keep):
            # The database stops counting at 100,000.
            screen.progress(
                f"batch {batches} deleted, {'at least ' if remaining >= 100_000 else ''}{remaining:,} left"
            )
            batches += 1
        pruned_to = (await admin.status())["pruned_to"]
    screen.line(f"{screen.good('done')}: {_outcome(pruned_to)}")
    return 0


def _outcome(pruned_to: str | None) -> str:
    """``pruned_to``: when the position was noted up to which events are gone, None if there was none yet."""
    if pruned_to is None:
        return "nothing is old enough yet; a position was noted now, and counts once it is older than --keep"
    return f"what was committed before {pruned_to[:19].replace('T', ' ')} is gone from the outbox"
