"""``relay token``: a token for development, signed with the configured shared secret."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable
from typing import Any

from relay.commands.shared import Commands, add_command, duration, load_settings
from relay.errors import UsageError

__all__ = ["parse_claims", "register"]

DESCRIPTION = """\
For trying things out; in production your backend makes the tokens. Values are JSON where
they are JSON, and text otherwise. sub, aud, iss, iat and exp are set from the options and
the config. It works with auth.secrets or auth.secret_files only: what is checked with
public keys can only be signed by whoever holds the private one.

  relay token --claim is_superuser=true
  relay token --claim role=school_owner --claim 'school_ids=[1, 2]' --ttl 8h
"""

#: These come from the options and the config; one that was typed would be overwritten without a word.
REGISTERED = ("sub", "aud", "iss", "iat", "exp")


def register(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "token", "make a token for development", DESCRIPTION)
    parser.add_argument("--claim", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument(
        "--subject", default="developer", help="who it is for, the sub claim (default: developer)"
    )
    parser.add_argument("--ttl", default="1h", help="valid for so long, as 90s, 15m, 8h or 7d (default: 1h)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one token."""
    claims = parse_claims(arguments.claim)
    seconds = duration(arguments.ttl)
    if not arguments.subject:
        raise UsageError("--subject is empty; a token has to be somebody's")
    settings = load_settings(arguments)
    settings.require_auth()
    from relay.gateway.auth import mint

    print(mint(settings.auth, arguments.subject, seconds, claims))
    return 0


def parse_claims(pairs: Iterable[str], registered: Collection[str] = REGISTERED) -> dict[str, Any]:
    """``name=value`` pairs as claims; a value that is JSON counts as such. Raises UsageError.

    ``registered`` are the names that come from elsewhere.
    """
    claims: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise UsageError(f'"{pair}" is no claim; write --claim name=value')
        if name in registered:
            raise UsageError(f"claim {name} is set from the options and the config; use --subject and --ttl")
        if name in claims:
            raise UsageError(f"claim {name} is given twice; write a list, --claim '{name}=[…]'")
        try:
            claims[name] = json.loads(value)
        except ValueError:
            claims[name] = value
    return claims
