"""The tree of settings: its defaults, the example file, the environment over the file, and what it never prints."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from relay import config
from relay.config import ChannelSettings, FieldSettings, LookUpSettings, PolicySettings, Settings, load
from relay.config_aggregates import AggregateSettings
from relay.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
SECTIONS = ("database", "capture", "server", "limits", "auth", "masks", "dashboard", "logging")
SECRET = "a secret of thirty-two bytes or more"
AUTH = {
    "RELAY_AUTH__SECRETS": SECRET,
    "RELAY_AUTH__ALGORITHMS": "HS256",
    "RELAY_AUTH__AUDIENCE": "payment-relay",
}
DSN = {"RELAY_DATABASE__DSN": "postgresql://relay@db/payments"}


def _section(name: str) -> type[BaseModel]:
    kind = Settings.model_fields[name].annotation
    assert isinstance(kind, type)
    assert issubclass(kind, BaseModel)
    return kind


def _commented(key: str, text: str) -> str | None:
    """What the comments of the example say of ``key``: the rest of its line."""
    found = re.search(rf"^#\s+{key}\s+= (.*)$", text, re.MULTILINE)
    return found[1] if found else None


def test_the_example_is_a_whole_config() -> None:
    """config.example.toml loads as it stands, with the four payment channels and a policy for each role."""
    settings = load(EXAMPLE, {})
    assert set(settings.channels) == {"transactions", "webhooks", "fraud_alerts", "disputes"}
    assert [policy.name for policy in settings.policies] == ["global admin", "staff", "school owner"]


@pytest.mark.parametrize("name", SECTIONS)
def test_the_example_shows_every_key_with_its_default(name: str) -> None:
    """Every key of a section stands in the example with the default of the tree, and with a comment."""
    shown = tomllib.loads(EXAMPLE.read_text())[name]
    fields = _section(name).model_fields
    assert list(shown) == list(fields)
    for key, value in shown.items():
        if not fields[key].is_required():
            default = fields[key].default
            assert value == (list(default) if isinstance(default, tuple) else default), key
    lines = EXAMPLE.read_text().split(f"[{name}]\n")[1].split("\n\n")[0].splitlines()
    assert [line for line in lines if "#" not in line] == []


@pytest.mark.parametrize("model", [ChannelSettings, FieldSettings, LookUpSettings, PolicySettings])
def test_the_example_explains_every_key_of_channels_and_policies(model: type[BaseModel]) -> None:
    """Every key of a channel, field, look-up and policy is explained in the example, defaults included."""
    text = EXAMPLE.read_text()
    for key, field in model.model_fields.items():
        if model is LookUpSettings or key in ("column", "constant", "lookup"):
            assert re.search(rf"^#.*\b{key}\b", text, re.MULTILINE), key
            continue
        line = _commented(key, text)
        assert line is not None, key
        if field.is_required():
            assert "required" in line, key
        elif field.default is not None:
            written = re.match(r'"[^"]*"|\[\]|\{\}|true|false|\{ … \}', line)
            assert written is not None, key
            if written[0] != "{ … }":
                shown = tomllib.loads(f"v = {written[0]}")["v"]
                assert shown == (list(field.default) if isinstance(field.default, tuple) else field.default)


def test_the_example_shows_every_key_of_aggregates_with_its_default() -> None:
    """Both aggregates of the example have every part and every key there is, in order, each with its default; those
    without one are marked as required."""
    text = (
        "[aggregates.metrics.transactions]"
        + EXAMPLE.read_text().split("# [aggregates.metrics.transactions]")[1]
    )
    text = re.sub(r"^# ?", "", text.split("# -----")[0], flags=re.MULTILINE)
    shown = tomllib.loads(text)["aggregates"]
    preset = load(EXAMPLE, {}).aggregates
    assert {name: AggregateSettings.model_validate(each) for name, each in shown.items()} == preset
    parts = {
        part: (f"aggregates.{name}.{part}", keys)
        for name, each in shown.items()
        for part, keys in each.items()
    }
    assert list(parts) == list(AggregateSettings.model_fields)
    for part, (head, keys) in parts.items():
        (model,) = [
            kind for kind in get_args(AggregateSettings.model_fields[part].annotation) if kind is not NoneType
        ]
        assert list(keys) == list(model.model_fields)
        for line in text.split(f"[{head}]")[1].split("\n\n")[0].splitlines()[1:]:
            key = line.split(" = ")[0]
            field = model.model_fields[key]
            if field.is_required():
                assert "# required" in line, key
            elif f'default: "{field.default}"' not in line:
                default = list(field.default) if isinstance(field.default, tuple) else field.default
                assert keys[key] == default, key


def test_everything_but_the_database_has_a_default() -> None:
    """The address of the database is the only setting without which nothing loads."""
    settings = load(None, DSN)
    assert settings.database.dsn == DSN["RELAY_DATABASE__DSN"]
    assert settings.capture == config.CaptureSettings()
    assert settings.channels == {}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable replaces what the file says, key by key; the rest of its section stays."""
    path = tmp_path / "config.toml"
    path.write_text('[database]\ndsn = "postgresql://file/db"\n[server]\nport = 1000\nhost = "file"\n')
    settings = load(path, {"RELAY_SERVER__PORT": "2000"})
    assert (settings.server.port, settings.server.host) == (2000, "file")


@pytest.mark.parametrize(
    ("variables", "read", "expected"),
    [
        ({"RELAY_SERVER__PATHS": '["/a", "/b"]'}, lambda s: s.server.paths, ("/a", "/b")),
        ({"RELAY_SERVER__PATHS": "/a"}, lambda s: s.server.paths, ("/a",)),
        ({"RELAY_SERVER__ORIGINS": ""}, lambda s: s.server.origins, ()),
        ({"RELAY_SERVER__TLS_KEY": ""}, lambda s: s.server.tls_key, ""),
        ({"RELAY_DATABASE__POLL_DEADLINE_SECONDS": "2.5"}, lambda s: s.database.poll_deadline_seconds, 2.5),
        ({"RELAY_LOGGING": '{"level": "debug"}'}, lambda s: s.logging.level, "debug"),
        (
            {"RELAY_LOGGING": '{"level": "debug"}', "RELAY_LOGGING__FORMAT": "json"},
            lambda s: (s.logging.level, s.logging.format),
            ("debug", "json"),
        ),
        ({"RELAY_DATABASE__DSN": "[1]"}, lambda s: s.database.dsn, "[1]"),
        ({"RELAY_PORT": "tcp://10.0.0.1:80", "RELAY_SERVICE_HOST": "x"}, lambda s: s.server.port, 8765),
    ],
)
def test_variables_are_read_as_their_key_wants(variables: dict[str, str], read: Any, expected: Any) -> None:
    """Lists and tables are JSON, one word is a list of one, everything else is the text itself."""
    assert read(load(None, DSN | variables)) == expected


def test_channels_can_be_refined_by_variables() -> None:
    """A variable reaches into a declared channel, whatever the case of the name that the file gives a field."""
    variables = {
        "RELAY_CHANNELS__TRANSACTIONS__COALESCE": "false",
        "RELAY_CHANNELS__TRANSACTIONS__FIELDS__CURRENCY__CONSTANT": "usd",
        "RELAY_CHANNELS__TRANSACTIONS__FIELDS__METADATA__KEYS": "plan_name",
    }
    channel = load(EXAMPLE, variables).channels["transactions"]
    assert channel.coalesce is False
    assert channel.fields["currency"].constant == "usd"
    assert channel.fields["metadata"].keys == ("plan_name",)


def test_constants_stay_exact(tmp_path: Path) -> None:
    """A fraction in the file or in a variable is a Decimal, with its zeros."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[database]\ndsn = "x"\n[channels.a]\ntable = "public.a"\nfields = { fee = { constant = 1.50 } }\n'
    )
    assert str(load(path, {}).channels["a"].fields["fee"].constant) == "1.50"
    settings = load(path, {"RELAY_CHANNELS__A__FIELDS__FEE__CONSTANT": "2.50"})
    assert settings.channels["a"].fields["fee"].constant == Decimal("2.50")


def test_the_tree_is_frozen() -> None:
    """Settings cannot be changed once they are read."""
    settings = load(None, DSN)
    with pytest.raises(ValidationError):
        settings.server.port = 1


def test_secrets_never_print() -> None:
    """Neither a secret nor a password in a DSN shows in the representation of the settings."""
    settings = load(None, AUTH | {"RELAY_DATABASE__DSN": "postgresql://relay:geheim@db/payments"})
    assert SECRET not in repr(settings)
    assert "geheim" not in repr(settings)


def test_secrets_come_from_values_and_files(tmp_path: Path) -> None:
    """Shared secrets are the bytes of the strings and of the files, without the newline at a file's end."""
    file = tmp_path / "secret"
    file.write_text("another secret of thirty-two bytes or more\n")
    settings = load(None, DSN | AUTH | {"RELAY_AUTH__SECRET_FILES": str(file)})
    assert settings.auth.shared_secrets() == (
        SECRET.encode(),
        b"another secret of thirty-two bytes or more",
    )


def test_no_auth_no_start() -> None:
    """Settings without keys load, so that a DBA needs no secret to install, but nobody can serve with them."""
    settings = load(None, DSN)
    with pytest.raises(ConfigError, match="auth has no keys"):
        settings.require_auth()
    load(None, DSN | AUTH).require_auth()


@pytest.mark.parametrize(("content", "why"), [("short\n", "needs 32"), (None, "cannot be read")])
def test_a_bad_secret_file_is_named(tmp_path: Path, content: str | None, why: str) -> None:
    """A secret file that is missing or too short stops the start with its name."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    variables = {
        "RELAY_AUTH__SECRET_FILES": str(file),
        "RELAY_AUTH__ALGORITHMS": "HS256",
        "RELAY_AUTH__AUDIENCE": "a",
    }
    with pytest.raises(ConfigError) as caught:
        load(None, DSN | variables).require_auth()
    assert why in str(caught.value)
    assert str(file) in str(caught.value)
