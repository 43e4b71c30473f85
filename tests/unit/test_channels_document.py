"""docs/channels.md: its examples load and are as published, and the tables of the preset's fields are the preset."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from relay.config import ChannelSettings, FieldSettings, Settings, load
from relay.config_masks import MASKS
from relay.config_preset import put_under
from relay.messages.fields import KINDS
from relay.routing.channel import compile_channels
from relay.routing.policies import compile_policies
from tests.support.published import Published

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "channels.md").read_text()
PRESET = load(None, {"RELAY_DATABASE__DSN": "x", "RELAY_PRESET": "payments"}).channels
PAGES = ("channels.md", "configuration.md", "policies.md")


def examples(page: str, kind: str) -> list[str]:
    """The blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


TOML = [(page, block) for page in PAGES for block in examples(page, "toml")]


@pytest.mark.parametrize(("page", "block"), TOML, ids=lambda value: value.split("\n")[0][:40])
def test_every_example_of_a_config_loads(page: str, block: str) -> None:
    """Channels and policies compile, and what speaks of the payment channels goes over the preset."""
    tree: dict[str, Any] = {"database": {"dsn": "x"}, **tomllib.loads(block)}
    if "channels" not in tree and "aggregates" not in tree:
        tree.setdefault("preset", "payments")
    put_under(tree, tree.get("preset"))
    settings = Settings.model_validate(tree)
    channels = compile_channels(settings.channels)
    compile_policies(settings.policies, channels, bytes(32), settings.aggregates)


def _documented() -> list[tuple[str, str, str, str]]:
    chapters = re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", TEXT, re.MULTILINE | re.DOTALL)
    rows = [
        (name, *row)
        for name, text in chapters
        for row in re.findall(r"^\| `(\w+)` \| ([^|]*) \| (yes|no) \|", text, re.MULTILINE)
    ]
    return rows


def test_the_chapters_have_every_field_of_the_preset() -> None:
    """In the order in which they are sent; hidden fields are named as such."""
    for name, channel in PRESET.items():
        shown = [field for field, spec in channel.fields.items() if not spec.hidden]
        assert [field for chapter, field, *_ in _documented() if chapter == name] == shown
        for field, spec in channel.fields.items():
            assert f"`{field}`" in TEXT or not spec.hidden
    assert {chapter for chapter, *_ in _documented()} == set(PRESET)


@pytest.mark.parametrize(("name", "field", "type", "null"), _documented())
def test_every_field_is_documented_as_it_is(name: str, field: str, type: str, null: str) -> None:
    """Its type, and whether it can be null."""
    spec: FieldSettings = PRESET[name].fields[field]
    if spec.constant is not None:
        assert type == f"`{json.dumps(spec.constant)}`"
    else:
        declared = spec.type or ("string" if spec.map else "json" if spec.keys else "")
        assert declared in KINDS
        assert type == declared
    sure = spec.constant is not None or spec.required or spec.default is not None or field == "id"
    assert (null == "no") is sure


def test_the_chapters_name_message_object_table_and_actions() -> None:
    """What stands above each table is what the preset says."""
    for name, channel in PRESET.items():
        text = TEXT.split(f"### `{name}`\n")[1].split("| field |")[0]
        table = channel.table.partition(".")[2]
        for word in (channel.message, f"data.{channel.object}", table, "created", "updated", "deleted"):
            assert f"`{word}`" in text, word
        for word in channel.actions or ("status_changed",):
            assert f"`{word}`" in text
        assert ("one message" in text) is channel.coalesce
        for action, statuses in channel.actions.items():
            for status in statuses:
                assert f"`{status}`" in text, (action, status)


def test_the_messages_shown_are_as_published() -> None:
    """Each JSON example is a message that the relay could send about the channel it names."""
    fields = {"number": {"column": "number"}, "total": {"column": "total", "type": "decimal"}}
    invoices = ChannelSettings.model_validate({"table": "billing.invoice", "fields": fields})
    settings = Settings.model_validate({"database": {"dsn": "x"}, "channels": {"invoices": invoices}})
    blocks = examples("channels.md", "json")
    assert len(blocks) == 2
    for block in blocks:
        Published(settings).check(json.loads(block))


def test_what_is_said_of_policies_is_what_they_take() -> None:
    """The masks that docs/policies.md shows are all there are."""
    text = (DOCS / "policies.md").read_text().split("## Masks")[1].split("\n## ")[0]
    named = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in text.splitlines() if "|" in line))
    assert [name for name in named if name != "mask"] == list(MASKS)
