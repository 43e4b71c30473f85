"""``relay status``: the outbox and the watched tables, and the running daemon if it answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from relay.commands.install import admin_dsn
from relay.commands.shared import Commands, Screen, add_command, load_settings
from relay.config import ServerSettings, Settings

__all__ = ["register"]

DESCRIPTION = """\
Shows relay.status and relay.watched of the database, and what the daemon says of itself at
its operations address. The exit code is 1 if a watched table has drifted or capture is not
whole, so it can serve as a check; a daemon that does not answer here is only mentioned, for
it may run on another machine.

  relay status
  relay status --json
"""

_WORDS = {None: "-", True: "yes", False: "no"}
#: A daemon on this machine answers at once, or not at all.
ANSWER_SECONDS = 2.0


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "status", "what the outbox and the watched tables look like", DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--dsn", help="connect with this instead of database.admin_dsn (default: database.dsn)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the state of things. 1 if something has drifted."""
    settings = load_settings(arguments)
    status = asyncio.run(_collect(settings, *admin_dsn(settings, arguments.dsn)))
    if arguments.json:
        print(json.dumps(status))
    else:
        _show(Screen(), status)
    troubled = any(table.get("drift") for table in status["watched"]) or status.get("at_home") is False
    return 1 if troubled else 0


async def _collect(settings: Settings, dsn: str, origin: str) -> dict[str, Any]:
    from relay.capture.admin import Administrator

    async with Administrator.connect(dsn, origin, settings.database.connect_timeout_seconds) as admin:
        status = await admin.status()
    status["daemon"] = await asyncio.to_thread(_ask_daemon, settings.server)
    return status


def _ask_daemon(server: ServerSettings) -> dict[str, Any]:
    """What ``/readyz`` says: ``ready`` true, false, or None when nobody answers, its ``address``, and ``detail``."""
    if not server.ops_port:
        return {"ready": None, "address": "", "detail": "server.ops_port is 0"}
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(server.ops_host, server.ops_host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{server.ops_port}/readyz"
    # No proxy from the environment: the operations address is on this machine or in its network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            return {
                "ready": True,
                "address": url,
                "detail": answer.read(4096).decode(errors="replace").strip(),
            }
    except urllib.error.HTTPError as error:
        return {"ready": False, "address": url, "detail": error.read(4096).decode(errors="replace").strip()}
    except OSError:
        return {"ready": None, "address": url, "detail": "nobody answers"}


def _show(screen: Screen, status: Mapping[str, Any]) -> None:
    watched, daemon = status["watched"], status["daemon"]
    screen.line(screen.strong("outbox"))
    for name, value in status.items():
        if name not in ("watched", "daemon"):
            screen.line(
                f"  {name:<24} {_WORDS.get(value, value) if isinstance(value, bool | None) else value}"
            )
    screen.line(screen.strong(f"\nwatched tables ({len(watched)})"))
    for table in watched:
        drift = table.get("drift")
        screen.line(f"  {table['source']:<44} {screen.bad(drift) if drift else screen.good('whole')}")
        screen.line(f"    {table['mode']}: {', '.join(table['columns'])}")
        if added := table.get("new_columns"):
            screen.line(f"    added since, not watched: {', '.join(added)}")
    screen.line(screen.strong(f"\ndaemon {daemon['address']}".rstrip()))
    word = {True: screen.good("ready"), False: screen.bad("not ready"), None: "unknown"}[daemon["ready"]]
    screen.line(f"  {word}: {daemon['detail']}" if daemon["detail"] else f"  {word}")
