"""``relay serve``: run the daemon until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio

from relay.commands.shared import Commands, add_command, load_settings
from relay.config import Settings
from relay.errors import ConfigError

__all__ = ["register", "serving"]

DESCRIPTION = """\
Runs in the foreground and logs to standard error: JSON, or readable on a terminal.
SIGTERM and Ctrl-C say goodbye to clients and end within server.drain_seconds.
SIGHUP reads the config again: channels, policies, keys and most limits change at once, or
stay as they are if something is wrong with the new ones. Addresses, capture and the
database need a restart.

  relay serve --config /etc/relay/config.toml
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "serve", "run the daemon", DESCRIPTION)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    settings = serving(arguments)
    from relay import daemon, logs

    logs.configure(settings.logging)
    asyncio.run(daemon.run(settings, reload=lambda: serving(arguments)))
    return 0


def serving(arguments: argparse.Namespace) -> Settings:
    """Settings that a daemon can run with. Raises ConfigError."""
    settings = load_settings(arguments)
    settings.require_auth()
    if not settings.channels and not settings.aggregates:
        raise ConfigError("channels is empty, so there is nothing to stream; declare one as [channels.NAME]")
    if not settings.policies:
        raise ConfigError("policies is empty, so nobody may connect; add one as [[policies]]")
    return settings
