"""``relay demo``: everything at once on this machine, with a Postgres of its own and payments going on."""

from __future__ import annotations

import argparse
import asyncio

from relay.commands.shared import Commands, add_command
from relay.errors import RelayError, UsageError

__all__ = ["register"]

DESCRIPTION = """\
Starts a private PostgreSQL in a temporary directory, creates payment tables, installs the
relay, runs it on loopback with a fresh secret, and lets payments happen. Prints addresses
and a token for each role, then the live stream. Ctrl-C ends it and leaves nothing behind.
It reads no config and needs the extra: pip install 'payment-relay[demo]'

  relay demo
  relay demo --json
"""


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "demo", "try it: Postgres, payments, daemon and dashboard", DESCRIPTION)
    parser.add_argument(
        "--json", action="store_true", help="print one line with http, ws, token and dsn when ready"
    )
    parser.add_argument(
        "--port", type=int, default=8765, help="of the dashboard (default: 8765; another if it is taken)"
    )
    parser.add_argument("--rate", type=float, default=5.0, help="changes per second (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same payments (default: 1)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo until interrupted."""
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port {arguments.port} is no port; take one from 0 to 65535")
    if not arguments.rate > 0:
        raise UsageError(f"--rate {arguments.rate:g} makes no payments; take a number above 0")
    try:
        from relay.demo.run import run as run_demo
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("relay"):
            raise
        raise RelayError(
            f"the demo needs {error.name}, which is not installed; run: pip install 'payment-relay[demo]'"
        ) from None
    asyncio.run(run_demo(json=arguments.json, port=arguments.port, rate=arguments.rate, seed=arguments.seed))
    return 0
