"""Runs one command for as long as the parent lives, then ends it and removes its directory.

Started as a script of its own: ``guard.py DIRECTORY UID GID COMMAND...`` (``-`` for UID and GID: stay who we
are). Standard input is a pipe that the parent holds open. When it closes, because the parent let go or was
killed, the command is ended and DIRECTORY deleted. If the command ends first, the guard returns its exit code
and touches nothing.

PR_SET_PDEATHSIG was the alternative. It is Linux only, it fires when the *thread* that started the child
ends, it is cleared when the child changes its user, and it leaves the directory behind.
"""

from __future__ import annotations

import select
import shutil
import signal
import socket
import subprocess
import sys

PATIENCE_SECONDS = 10
STDIN = 0


def main(arguments: list[str]) -> int:
    """Run the command; the exit code is the command's, or 0 if the guard ended it."""
    directory, uid, gid, *command = arguments
    # A handler, not SIG_IGN: ignoring would be inherited by the command.
    wake, bell = socket.socketpair()
    bell.setblocking(False)
    signal.set_wakeup_fd(bell.fileno())
    told_to_end: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: told_to_end.append(number))

    if uid == "-":
        process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL)
    else:
        process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, user=int(uid), group=int(gid), extra_groups=[]
        )
    while process.poll() is None:
        ready, _, _ = select.select([STDIN, wake.fileno()], [], [])
        if STDIN in ready or told_to_end:
            end(process)
            shutil.rmtree(directory, ignore_errors=True)
            return 0
        wake.recv(4096)
    return process.returncode


def end(process: subprocess.Popen[bytes]) -> None:
    """End a Postgres: politely (fast shutdown), then at once (immediate shutdown), then by force."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
