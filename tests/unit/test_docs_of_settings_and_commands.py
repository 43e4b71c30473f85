"""docs/configuration.md and docs/commands.md say what the code says."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from relay import cli
from relay.config import ChannelSettings, FieldSettings, LookUpSettings, PolicySettings, Settings
from relay.config_aggregates import AlertCounts, DisputeCounts, TransactionCounts, WebhookCounts

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = ("database", "capture", "server", "limits", "auth", "masks", "dashboard", "logging")
TABLES: dict[str, type[BaseModel]] = {
    "| key of a channel |": ChannelSettings,
    "| key of a field |": FieldSettings,
    "| key of a look-up |": LookUpSettings,
    "| key of a policy |": PolicySettings,
    "| key of `transactions` |": TransactionCounts,
    "| key of `disputes` |": DisputeCounts,
    "| key of `alerts` |": AlertCounts,
    "| key of `webhooks` |": WebhookCounts,
}


def _chapter(page: str, title: str) -> str:
    text = (DOCS / page).read_text().split(f"\n## {title}\n")
    assert len(text) == 2, title
    return text[1].split("\n## ")[0]


def _rows(text: str) -> dict[str, str]:
    """The rows of a table: key -> default."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) \|", text, re.MULTILINE))


def _check(rows: dict[str, str], model: type[BaseModel]) -> None:
    assert list(rows) == list(model.model_fields)
    for key, field in model.model_fields.items():
        if field.is_required():
            assert rows[key] == "required", key
        elif field.default is None:
            assert "`" not in rows[key], key
        else:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            assert rows[key] == f"`{json.dumps(default)}`", key


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    """The table of a section has exactly its keys, in order, each with its true default."""
    model = Settings.model_fields[name].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    _check(_rows(_chapter("configuration.md", name)), model)


@pytest.mark.parametrize("head", TABLES)
def test_every_key_of_channels_and_policies_is_documented(head: str) -> None:
    """The tables of channels, fields, look-ups and policies have exactly their keys, each with its true default."""
    table = (DOCS / "configuration.md").read_text().partition(head)[2].split("\n\n")[0]
    _check(_rows(table), TABLES[head])


def _commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [each.choices for each in cli.build_parser()._actions if isinstance(each.choices, dict)]
    return choices


def test_every_command_has_a_chapter() -> None:
    """The list at the top and the chapters are the commands of the program."""
    text = (DOCS / "commands.md").read_text()
    listed = re.findall(r"^\| \[`(\w+)`\]\(#\w+\) \|", text, re.MULTILINE)
    assert listed == list(_commands())
    for name in listed:
        _chapter("commands.md", name)


@pytest.mark.parametrize("name", list(_commands()))
def test_every_option_is_documented(name: str) -> None:
    """A command's chapter has exactly its options and arguments; those of all commands are told once."""
    documented = set(re.findall(r"^\| `(--[\w-]+|[A-Z]+)[ `]", _chapter("commands.md", name), re.MULTILINE))
    actual: set[str] = set()
    for action in _commands()[name]._actions:
        actual.update(option for option in action.option_strings if option.startswith("--"))
        if not action.option_strings:
            actual.add(str(action.metavar))
    common = {"--config", "--debug", "--help"}
    assert documented == actual - common
    for option in common:
        assert f"| `{option}" in (DOCS / "commands.md").read_text()
