"""``relay tail``: the live stream of some channels on the terminal, over WebSocket like any other client."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import Any

from relay.commands.shared import Commands, Screen, add_command, load_settings
from relay.config import ServerSettings
from relay.errors import ConfigError, UsageError
from relay.messages.requests import SNAPSHOT_ROWS

__all__ = ["default_url", "parse_filter", "register"]

DESCRIPTION = """\
Prints each change as it comes, one line each. After a cut it reconnects and resumes where
it was. The token is taken from --token or RELAY_TOKEN ("relay token" makes one); the address
from --url or the config. Ctrl-C ends it and prints the cursor to go on from.

  relay tail transactions --token "$(relay token --claim is_superuser=true)"
  relay tail transactions --filter '{"status": "failed"}' --json
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "tail", "print the live stream of channels", DESCRIPTION)
    parser.add_argument("channels", nargs="+", metavar="CHANNEL", help="what to subscribe to")
    parser.add_argument("--filter", metavar="JSON", help="for all these channels, as in the wire protocol")
    parser.add_argument("--url", help="ws:// or wss:// address (default: from the config)")
    parser.add_argument("--token", help="the token (default: RELAY_TOKEN)")
    parser.add_argument("--json", action="store_true", help="print the messages as they come, one a line")
    parser.add_argument(
        "--since", metavar="CURSOR", help="resume from the cursor that an earlier run printed"
    )
    parser.add_argument(
        "--snapshot", type=int, default=0, metavar="N", help="begin with N present rows (0 to 500)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="end after N changes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print changes until interrupted or refused."""
    if not 0 <= arguments.snapshot <= SNAPSHOT_ROWS:
        raise UsageError(
            f"--snapshot {arguments.snapshot} is out of range; ask for 0 to {SNAPSHOT_ROWS} rows"
        )
    if arguments.count is not None and arguments.count < 1:
        raise UsageError(f"--count {arguments.count} would end before it began; ask for 1 or more")
    from relay.commands.tailing import Tail

    tail = Tail(
        url=arguments.url or _configured_url(arguments),
        token=_token(arguments.token),
        channels=arguments.channels,
        filter=parse_filter(arguments.filter),
        snapshot=arguments.snapshot,
        since=arguments.since,
        count=arguments.count,
        screen=Screen(),
        as_json=arguments.json,
    )
    try:
        asyncio.run(tail.run())
    finally:
        if tail.bookmark:
            print(f"go on from here with: --since '{tail.bookmark}'", file=sys.stderr)
    return 0


def _configured_url(arguments: argparse.Namespace) -> str:
    try:
        return default_url(load_settings(arguments).server)
    except ConfigError as error:
        raise ConfigError(f"{error} (or give the address with --url)") from None


def default_url(server: ServerSettings) -> str:
    """Where a client on this machine reaches a relay with these settings."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(server.host, server.host)
    scheme = "wss" if server.tls_certificate else "ws"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}{server.paths[0]}"


def _token(given: str | None) -> str:
    token = given or os.environ.get("RELAY_TOKEN", "")
    if not token:
        raise UsageError('no token; give --token or RELAY_TOKEN, and make one with "relay token"')
    return token


def parse_filter(text: str | None) -> Any:
    """The filter of an option, None if there is none. Raises UsageError."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError("""--filter is no JSON object; write for instance --filter '{"status": "failed"}'""")
    return value
