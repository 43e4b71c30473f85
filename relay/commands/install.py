"""``relay install``: show what the database lacks for the configured channels, and with ``--apply`` do it."""

from __future__ import annotations

import argparse
import asyncio

from relay import __version__
from relay.capture.install_plan import Step, Survey
from relay.commands.shared import Commands, Screen, add_command, load_settings
from relay.config import Settings
from relay.errors import MappingError
from relay.resources import example_config

__all__ = ["admin_dsn", "register"]

DESCRIPTION = """\
Prints the plan as statements for psql, with the reason for each, and changes nothing.
With --apply it runs them, each in a transaction of its own; repeating it is safe.
Columns that are watched beyond what the config needs are left as they are.

It needs a role that owns the watched tables and is a member of relay_owner, or a
superuser: give it with --dsn or database.admin_dsn. The role in database.dsn, which the
daemon uses, is granted relay_reader and needs no more.

  relay install --example-config > config.toml
  relay install
  relay install --apply --dsn postgresql://owner@db/payments
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "install", "show or do what the database needs", DESCRIPTION)
    parser.add_argument("--apply", action="store_true", help="carry the plan out")
    parser.add_argument(
        "--dsn", help="connect with this instead of database.admin_dsn (default: database.dsn)"
    )
    parser.add_argument(
        "--example-config",
        action="store_true",
        help="print a config file with every setting, to begin with, and do nothing else",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; carry it out if asked to."""
    if arguments.example_config:
        print(example_config(), end="")
        return 0
    settings = load_settings(arguments)
    return asyncio.run(_install(settings, *admin_dsn(settings, arguments.dsn), apply=arguments.apply))


def admin_dsn(settings: Settings, given: str | None) -> tuple[str, str]:
    """The connection string for administration, and the name of the option or setting that it came from."""
    if given:
        return given, "--dsn"
    if settings.database.admin_dsn:
        return settings.database.admin_dsn, "database.admin_dsn"
    return settings.database.dsn, "database.dsn"


async def _install(settings: Settings, dsn: str, origin: str, *, apply: bool) -> int:
    from relay.capture.admin import Administrator
    from relay.capture.install_plan import make_plan
    from relay.capture.schema import SCHEMA_VERSION
    from relay.resources import sql_directory
    from relay.routing.needs import needs

    screen = Screen()
    needed = needs(settings)
    async with Administrator.connect(dsn, origin, settings.database.connect_timeout_seconds) as admin:
        survey = await admin.survey(needed, settings.database.dsn)
        files = sorted(sql_directory().glob("[0-9]*.sql"))
        try:
            plan = make_plan(needed, survey, SCHEMA_VERSION, files)
        except MappingError as error:
            raise settings.blame(error) from None
        _show(screen, survey, plan)
        if not plan:
            screen.line(screen.good("nothing to do"))
            return 0
        if not apply:
            screen.line("Nothing was changed. Do it with: relay install --apply")
            return 0
        screen.line()
        for number, step in enumerate(plan, 1):
            screen.progress(f"{number}/{len(plan)} {step.why}")
            await admin.carry_out(step, lambda text: screen.line(f"  note: {text}"))
            what = step.file.name if step.file else str(step)
            screen.line(f"{screen.good('done')} {number}/{len(plan)} {what}")
        screen.line("The database is ready. Next: relay serve")
    return 0


def _show(screen: Screen, survey: Survey, plan: tuple[Step, ...]) -> None:
    found = "absent" if survey.version is None else f"version {survey.version}"
    screen.line(
        f"payment-relay {__version__}, database {survey.database} as {survey.user} on PostgreSQL "
        f"{survey.server_version}: schema relay {found}, {len(survey.watched)} table(s) watched"
    )
    why = ""
    for step in plan:
        if step.why != why:  # one heading for all files of the same reason
            why = step.why
            screen.line(screen.strong(f"\n-- {why}"))
        screen.line(str(step))
    if plan:
        screen.line()
