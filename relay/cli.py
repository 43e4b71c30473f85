"""The front door: ``relay COMMAND``. Every error ends as one line on standard error and an exit code.

0 fine, 1 failed, 2 usage, 3 configuration, 4 database; 130 when interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Iterator, Sequence

from relay import __version__
from relay.commands import demo, explain, install, prune, schema, serve, status, tail, token, uninstall
from relay.commands.shared import add_common_options
from relay.errors import RelayError

__all__ = ["build_parser", "main"]

#: In the order in which somebody new meets them.
COMMANDS = (demo, install, serve, token, tail, explain, status, prune, schema, uninstall)

EPILOG = """\
exit codes: 0 fine, 1 failed, 2 usage, 3 configuration, 4 database

"relay COMMAND --help" explains a command. Try "relay demo" first.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="relay",
        description="Pushes committed payment changes from PostgreSQL to dashboards over WebSocket.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"relay {__version__}")
    add_common_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's) and return its exit code."""
    parser = build_parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)  # whoever asks for nothing wants to know what there is
        return 2
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as exit_:  # argparse has said it all: --help, --version or a usage error
        return exit_.code if isinstance(exit_.code, int) else 2
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has left (as in "relay tail | head"). Python would complain once more at
        # exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if getattr(arguments, "debug", False):
            traceback.print_exc()
        return _report(error)


def _report(error: Exception) -> int:
    """One line on standard error, of several errors the first that we understand. Returns the exit code."""
    understood = next((each for each in _leaves(error) if isinstance(each, RelayError)), None)
    if understood is not None:
        line, code = str(understood), understood.exit_code
    else:
        cause = next(_leaves(error))
        line = (
            f"{type(cause).__name__}: {cause}; this is not expected, --debug shows the traceback for a report"
        )
        code = 1
    print(f"relay: {' '.join(line.split())}", file=sys.stderr)
    return code


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
