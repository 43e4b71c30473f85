"""``relay uninstall``: show what would be removed from the database, and with ``--apply`` remove it."""

from __future__ import annotations

import argparse
import asyncio

from relay.commands.install import admin_dsn
from relay.commands.shared import Commands, Screen, add_command, load_settings
from relay.config import Settings

__all__ = ["register"]

DESCRIPTION = """\
Removes the triggers from the watched tables, the grants, and schema relay with the outbox:
events that no dashboard has seen yet are gone. The tables themselves are not touched.
Stop the relays first. Without --apply nothing is changed.

  relay uninstall
  relay uninstall --apply --dsn postgresql://owner@db/payments
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "uninstall", "remove everything from the database again", DESCRIPTION)
    parser.add_argument("--apply", action="store_true", help="do it")
    parser.add_argument(
        "--dsn", help="connect with this instead of database.admin_dsn (default: database.dsn)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show what there is to remove; remove it if asked to."""
    settings = load_settings(arguments)
    return asyncio.run(_uninstall(settings, *admin_dsn(settings, arguments.dsn), apply=arguments.apply))


async def _uninstall(settings: Settings, dsn: str, origin: str, *, apply: bool) -> int:
    from relay.capture.admin import Administrator
    from relay.capture.install_plan import Step
    from relay.resources import sql_directory

    screen = Screen()
    async with Administrator.connect(dsn, origin, settings.database.connect_timeout_seconds) as admin:
        survey = await admin.survey((), "")
        if survey.version is None:
            screen.line(f"database {survey.database}: schema relay is absent, {screen.good('nothing to do')}")
            return 0
        file = sql_directory() / "uninstall.sql"
        step = Step(file.read_text(encoding="utf-8"), "removes schema relay and its triggers", file)
        screen.line(f"database {survey.database} as {survey.user}: schema relay version {survey.version}")
        for source in sorted(survey.watched):
            screen.line(f"  {source} is watched and will not be any more")
        screen.line(f"\n-- {step.why}\n{step}")
        if not apply:
            screen.line("\nNothing was changed. Do it with: relay uninstall --apply")
            return 0
        await admin.carry_out(step, lambda text: screen.line(f"  note: {text}"))
        screen.line(screen.good("done"))
    return 0
