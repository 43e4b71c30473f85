"""``relay schema``: what clients can receive, as JSON Schema or TypeScript."""

from __future__ import annotations

import argparse
import json

from relay.commands.shared import Commands, add_command, load_settings
from relay.errors import UsageError

__all__ = ["register"]

DESCRIPTION = """\
Describes every message that the relay sends for the configured channels. It needs no
database: a field without a type in the config can be anything, so give fields a type.

  relay schema > messages.schema.json
  relay schema --typescript transactions disputes > messages.d.ts

With --compat it describes what comes on the paths of dashboards that existed before the relay,
/ws/admin/payments/ and its two neighbours.
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "schema", "print the messages as JSON Schema or TypeScript", DESCRIPTION)
    parser.add_argument("channels", nargs="*", metavar="CHANNEL", help="only these channels (default: all)")
    parser.add_argument("--typescript", action="store_true", help="TypeScript instead of JSON Schema")
    parser.add_argument("--compat", action="store_true", help="the messages on the paths of old dashboards")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from relay.messages.compat_schema import compat_schema
    from relay.messages.schema import json_schema
    from relay.messages.typescript import typescript

    settings = load_settings(arguments)
    names = [*settings.channels, *settings.aggregates]
    for name in arguments.channels:
        if name not in names:
            raise UsageError(f"there is no channel {name}; the config has {', '.join(names) or 'none'}")
    wanted = arguments.channels or names
    describe = compat_schema if arguments.compat else json_schema
    schema = describe(
        {name: each for name, each in settings.channels.items() if name in wanted},
        settings.policies,
        {name: each for name, each in settings.aggregates.items() if name in wanted},
    )
    print(typescript(schema) if arguments.typescript else json.dumps(schema, indent=2))
    return 0
