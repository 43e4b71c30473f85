"""What commands have in common: their options, how they find their settings, how they talk to a terminal."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from relay import config
from relay.errors import UsageError

if TYPE_CHECKING:
    # The class that add_subparsers() returns has no public name.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = Any

__all__ = ["Commands", "Screen", "add_command", "duration", "load_settings"]

DEFAULT_CONFIG = Path("config.toml")


def add_command(commands: Commands, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    """A subparser with the options every command has. ``description``: paragraphs and examples."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common_options(parser)
    return parser


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--debug``. SUPPRESS keeps a command from undoing what stood before its name."""
    parser.add_argument(
        "--config",
        metavar="PATH",
        type=Path,
        default=argparse.SUPPRESS,
        help="the TOML file with the settings (default: RELAY_CONFIG, else config.toml)",
    )
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )


def load_settings(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> config.Settings:
    """The settings of ``--config``, else RELAY_CONFIG, else config.toml; the environment over it.

    Without any of the three, an environment that names the database is enough. Raises ConfigError.
    """
    path = getattr(arguments, "config", None) or Path(environ.get("RELAY_CONFIG") or DEFAULT_CONFIG)
    if (
        path == DEFAULT_CONFIG
        and not path.exists()
        and not {"RELAY_DATABASE", "RELAY_DATABASE__DSN"}.isdisjoint(environ)
    ):
        return config.load(None, environ)
    return config.load(path, environ)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> float:
    """Seconds of ``90s``, ``15m``, ``24h`` or ``7d``. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhd])", text)
    if match is None or not float(match[1]):
        raise UsageError(f'"{text}" is no length of time; write a number and a unit, as 90s, 15m, 24h or 7d')
    return float(match[1]) * _UNITS[match[2]]


class Screen:
    """One output stream: plain when it is a file or a pipe; emphasis and progress when it is a terminal.

    NO_COLOR (no-color.org) turns the emphasis off.
    """

    def __init__(self, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._stream = stream or sys.stdout
        self.is_terminal = self._stream.isatty()
        self._colour = self.is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self._progress = False

    def line(self, text: str = "") -> None:
        """Write one line at once; what reads a pipe must not wait for a buffer to fill."""
        self.clear()
        print(text, file=self._stream, flush=True)

    def progress(self, text: str) -> None:
        """Replace the progress line. Says nothing where nobody watches."""
        if self.is_terminal:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            self._progress = True

    def clear(self) -> None:
        """Remove the progress line."""
        if self._progress:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._progress = False

    def strong(self, text: str) -> str:
        """For headings."""
        return self._painted("1", text)

    def good(self, text: str) -> str:
        """For what is well."""
        return self._painted("32", text)

    def bad(self, text: str) -> str:
        """For what needs somebody."""
        return self._painted("31", text)

    def _painted(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text
