"""The command line: what each command says to bad input, and with which exit code."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import relay
from relay import cli
from relay.errors import ConfigError, DatabaseError, RelayError, UsageError
from tests.support.commands import isolate, one_line, run


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in an empty directory, without variables of ours."""
    isolate(tmp_path, monkeypatch)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--version names the program and its version."""
    assert run(capsys, "--version") == (0, f"relay {relay.__version__}\n", "")


@pytest.mark.parametrize("argv", [(), ("fly",), ("install", "--fly"), ("tail",), ("serve", "--config")])
def test_a_command_line_that_makes_no_sense_is_usage(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    """A missing or unknown command, option or argument shows the usage and exits with 2."""
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("usage: relay")


def _commands() -> dict[str, argparse.ArgumentParser]:
    parser = cli.build_parser()
    (choices,) = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    return choices


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """COMMAND --help describes the command, every option of it, and shows an example."""
    code, out, _ = run(capsys, name, "--help")
    assert code == 0
    assert f"  relay {name}" in out
    for action in _commands()[name]._actions:
        assert action.help, action.dest


@pytest.mark.parametrize("name", ["install", "uninstall", "serve", "status", "prune", "schema", "token"])
def test_without_a_config_every_command_says_how_to_make_one(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """No config file anywhere: exit code 3 and one line with the path and how to make one."""
    code, out, err = run(capsys, name)
    assert (code, out) == (3, "")
    assert "relay install --example-config > config.toml" in one_line(err)


def test_the_advice_for_a_missing_config_works(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """install --example-config needs no config, and what it prints is one that loads."""
    code, out, _ = run(capsys, "install", "--example-config")
    assert code == 0
    (tmp_path / "config.toml").write_text(out)
    assert run(capsys, "schema", "transactions")[0] == 0


def test_the_config_is_found_by_option_variable_and_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--config wins over RELAY_CONFIG, which wins over config.toml; before or after the command is the same."""
    for name in ("one", "two"):
        channel = f'[channels.{name}]\ntable = "public.t"\nfields = {{ id = {{ column = "id" }} }}\n'
        (tmp_path / f"{name}.toml").write_text(f'[database]\ndsn = "x"\n{channel}')
    (tmp_path / "config.toml").write_text('[database]\ndsn = "x"\n')
    assert "channel one; the config has none" in run(capsys, "schema", "one")[2]
    monkeypatch.setenv("RELAY_CONFIG", "one.toml")
    assert run(capsys, "schema", "one")[0] == 0
    assert run(capsys, "schema", "two", "--config", "two.toml")[0] == 0
    assert run(capsys, "--config", "two.toml", "schema", "two")[0] == 0


def test_the_environment_alone_can_be_the_config(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file is named and none lies here, variables with the database in them are enough."""
    monkeypatch.setenv("RELAY_DATABASE__DSN", "x")
    assert run(capsys, "schema")[0] == 0


@pytest.mark.parametrize(
    ("error", "code"), [(RelayError, 1), (UsageError, 2), (ConfigError, 3), (DatabaseError, 4)]
)
def test_errors_of_ours_areone_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: type[RelayError], code: int
) -> None:
    """An error of the tree is one line, whatever its text, with its exit code; also from inside a task group."""

    def fail(_: argparse.Namespace) -> int:
        raise ExceptionGroup(
            "tasks", [ValueError("noise"), ExceptionGroup("more", [error("first\n  second")])]
        )

    monkeypatch.setattr("relay.commands.schema.run", fail)
    assert run(capsys, "schema") == (code, "", "relay: first second\n")


def test_an_unexpected_error_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw is one line that tells how to get the traceback; --debug shows it."""

    def fail(_: argparse.Namespace) -> int:
        raise LookupError("where is it")

    monkeypatch.setattr("relay.commands.schema.run", fail)
    code, out, err = run(capsys, "schema")
    assert (code, out) == (1, "")
    assert one_line(err).startswith("relay: LookupError: where is it; ")
    assert "--debug" in err
    assert "Traceback" in run(capsys, "schema", "--debug")[2]


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt ends with 130 and says nothing."""

    def interrupt(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("relay.commands.schema.run", interrupt)
    assert run(capsys, "schema") == (130, "", "")
