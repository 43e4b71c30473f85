"""``relay serve``: run the daemon until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import errno
import re

from relay.commands.shared import Commands, add_command, load_settings
from relay.config import Settings
from relay.errors import ConfigError, RelayError

__all__ = ["register", "serving"]

DESCRIPTION = """\
Runs in the foreground and logs to standard error: JSON, or readable on a terminal.
SIGTERM and Ctrl-C say goodbye to clients and end within server.drain_seconds.
SIGHUP reads the config again: channels, policies and keys change at once, or stay as they
are if something is wrong with the new ones. Addresses and limits need a restart.

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
    try:
        asyncio.run(daemon.run(settings, reload=lambda: serving(arguments)))
    except* OSError as group:
        raise _cannot_listen(group, settings) from None
    return 0


def serving(arguments: argparse.Namespace) -> Settings:
    """Settings that a daemon can run with. Raises ConfigError."""
    settings = load_settings(arguments)
    settings.require_auth()
    if not settings.channels:
        raise ConfigError("channels is empty, so there is nothing to stream; declare one as [channels.NAME]")
    if not settings.policies:
        raise ConfigError("policies is empty, so nobody may connect; add one as [[policies]]")
    return settings


_LISTENING = {
    errno.EADDRINUSE: "is in use; stop the other program or set another {key}",
    errno.EACCES: "may not be used by this user; take a port above 1023 or set another {key}",
    errno.EADDRNOTAVAIL: "is no address of this machine; correct {host_key}",
}


def _cannot_listen(group: BaseExceptionGroup[OSError], settings: Settings) -> Exception:
    """One line for an address that could not be had; any other OSError as it is."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, OSError)
    remedy = _LISTENING.get(error.errno or 0)
    address = re.search(r"\('(?P<host>[^']*)', (?P<port>\d+)", str(error))
    if remedy is None or address is None:
        return error
    server = settings.server
    is_ops = int(address["port"]) == server.ops_port and int(address["port"]) != server.port
    keys = (
        {"key": "server.ops_port", "host_key": "server.ops_host"}
        if is_ops
        else {"key": "server.port", "host_key": "server.host"}
    )
    return RelayError(f"{address['host']}:{address['port']} {remedy.format(**keys)}")
