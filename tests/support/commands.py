"""Running commands in a test: in an empty directory, without the variables of whoever runs the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relay import cli

__all__ = ["AUTH", "EXAMPLE", "isolate", "one_line", "run"]

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"

#: What makes the example a config that can serve.
AUTH = {
    "RELAY_AUTH__SECRETS": "a secret of thirty-two bytes or more",
    "RELAY_AUTH__ALGORITHMS": "HS256",
    "RELAY_AUTH__AUDIENCE": "payment-relay",
}


def isolate(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to ``directory`` and forget every variable of ours."""
    monkeypatch.chdir(directory)
    for name in os.environ:
        if name.startswith("RELAY_"):
            monkeypatch.delenv(name)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line."""
    code = cli.main(argv)
    out, err = capsys.readouterr()
    return code, out, err


def one_line(err: str) -> str:
    """``err``, which is one line of ours and nothing else."""
    assert err.startswith("relay: "), err
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    return err
