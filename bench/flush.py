"""Two kinds of disk: the one that is there, and one whose every flush takes a millisecond more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["COMPILERS", "compile_slow_flush", "flush_milliseconds"]

SOURCE = Path(__file__).with_name("flush.c")
COMPILERS = ("cc", "gcc", "clang")

# The median of a hundred. In a process of its own, because a library is preloaded when a process starts.
PROBE = """
import os, statistics, sys, time
descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o600)
taken = []
for _ in range(100):
    os.pwrite(descriptor, bytes(8192), 0)
    start = time.perf_counter()
    os.fdatasync(descriptor)
    taken.append(time.perf_counter() - start)
os.unlink(sys.argv[1])
print(statistics.median(taken) * 1000)
"""


def compile_slow_flush(directory: Path) -> Path | None:
    """Build flush.c as a shared library in ``directory``. None: this machine has no C compiler."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return None
    library = directory / "flush.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


def flush_milliseconds(directory: Path, preload: Path | None = None) -> float:
    """How long one fdatasync of 8 kB takes on the disk that holds ``directory`` (median)."""
    environment = {**os.environ, **({} if preload is None else {"LD_PRELOAD": str(preload)})}
    command = [sys.executable, "-I", "-S", "-c", PROBE, str(directory / "flush-probe")]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
