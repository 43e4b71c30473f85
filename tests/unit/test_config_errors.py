"""What is wrong with a config is one line: where it came from, the key, the fault, the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.config import load
from relay.errors import ConfigError

BASE = """
[database]
dsn = "postgresql://relay@db/payments"
{database}
[server]
{server}
[capture]
{capture}
[limits]
{limits}
[auth]
{auth}
[channels.orders]
table = "public.orders"
{channel}
[channels.orders.fields]
id = {{ column = "id" }}
{fields}
[[policies]]
name = "everybody"
when = {{ {when} }}
channels = [{channels}]
{policy}
"""
NAMES = ("database", "server", "capture", "limits", "auth", "channel", "fields", "when", "policy")
PARTS = {**dict.fromkeys(NAMES, ""), "channels": '"*"'}
SECRET = 'secrets = ["a secret of thirty-two bytes or more"]'


def _fault(tmp_path: Path, **parts: str) -> str:
    path = tmp_path / "config.toml"
    path.write_text(BASE.format(**(PARTS | parts)))
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    assert caught.value.exit_code == 3
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("parts", "key", "why"),
    [
        ({"server": "prot = 1"}, "server.prot", 'did you mean "port"?'),
        ({"server": "poll_interval_ms = 1"}, "server.poll_interval_ms", "it belongs in [capture]"),
        ({"limits": "zzz = 1"}, "limits.zzz", "known in limits: connections,"),
        ({"channel": "tabel = 1"}, "channels.orders.tabel", 'did you mean "table"?'),
        ({"fields": 'x = { colum = "x" }'}, "channels.orders.fields.x.colum", 'did you mean "column"?'),
        ({"policy": "wher = 1"}, "policies[1].wher", 'did you mean "where"?'),
        (
            {"server": "port = 70000"},
            "server.port",
            "less than or equal to 65535; leave it out for the default, 8765",
        ),
        ({"server": 'port = "many"'}, "server.port", "must be an integer"),
        ({"server": "paths = []"}, "server.paths", "must not be empty"),
        ({"server": 'paths = ["ws"]'}, "server.paths[1]", 'must begin with "/"'),
        ({"server": 'paths = ["/healthz"]'}, "server.paths[1]", "serves a page already"),
        ({"server": 'origins = ["example.org"]'}, "server.origins[1]", "scheme://host"),
        ({"server": 'trusted_proxies = ["here"]'}, "server.trusted_proxies[1]", "IP address or network"),
        ({"server": 'tls_key = "a.pem"'}, "server", "tls_certificate and tls_key together"),
        ({"server": "ops_port = 8765"}, "server", "port and ops_port both 8765"),
        ({"capture": "chunk_rows = 0"}, "capture.chunk_rows", "greater than or equal to 1"),
        ({"capture": "idle_after_ms = 1"}, "capture", "idle_after_ms below poll_interval_ms"),
        (
            {"capture": "backoff_max_seconds = 0.01"},
            "capture",
            "backoff_max_seconds below backoff_initial_ms",
        ),
        (
            {"capture": "prune_keep_hours = 0.001"},
            "capture",
            "prune_keep_hours shorter than prune_every_seconds",
        ),
        (
            {"capture": "prune_keep_hours = 0.003\nprune_every_seconds = 1"},
            "capture.prune_keep_hours",
            "no cursor could ever be resumed",
        ),
        ({"limits": "message_bytes = 4096"}, "limits", "make it 5120 or more"),
        ({"auth": 'secrets = ["short"]'}, "auth.secrets", "holds a secret of 5 bytes and needs 32"),
        ({"auth": SECRET}, "auth", "has keys but no algorithms"),
        ({"auth": SECRET + '\nalgorithms = ["HS256"]'}, "auth", "has keys but no audience"),
        ({"auth": SECRET + '\nalgorithms = ["RS256"]'}, "auth", "a shared secret with algorithm RS256"),
        ({"auth": SECRET + '\nalgorithms = ["none"]'}, "auth", "algorithm none"),
        (
            {"auth": 'public_keys = ["a.pem"]\nalgorithms = ["HS256"]'},
            "auth",
            "public_keys with algorithm HS256",
        ),
        ({"auth": SECRET + '\npublic_keys = ["a.pem"]'}, "auth", "a shared secret and public_keys"),
        ({"auth": 'public_keys = ["a.pem"]\njwks_url = "https://x"'}, "auth", "public_keys and jwks_url"),
        (
            {"auth": 'jwks_url = "x"\nalgorithms = ["RS256"]\naudience = "a"'},
            "auth",
            "no http(s) address",
        ),
        *[
            (
                {"auth": f'jwks_url = "http://{host}/keys"\nalgorithms = ["RS256"]\naudience = "a"'},
                "auth",
                "a jwks_url without TLS",
            )
            for host in (
                "id.example",
                "192.0.2.1",
                "localhost.example",
                "127.0.0.1@id.example",
                "[2001:db8::1]",
            )
        ],
        ({"channel": 'message = "resync"'}, "channels.orders.message", "a message of the protocol itself"),
        ({"channel": 'object = "action"'}, "channels.orders.object", "beside the object already"),
        ({"channel": 'order = "a desc, b"'}, "channels.orders.order", '"column desc"'),
        ({"channel": 'order = "a down"'}, "channels.orders.order", '"column desc"'),
        ({"channel": 'status = "a.b"'}, "channels.orders.status", "one column"),
        (
            {"fields": 'x = { column = "x", constant = 1 }'},
            "channels.orders.fields.x",
            "has column and constant",
        ),
        ({"fields": "x = { hidden = true }"}, "channels.orders.fields.x", "has none of them"),
        ({"fields": 'x = { column = "x", type = "money" }'}, "channels.orders.fields.x.type", "'decimal'"),
        (
            {"fields": 'x = { column = "x", type = "integer", map = { a = "b" } }'},
            "channels.orders.fields.x",
            "map",
        ),
        (
            {"fields": 'x = { column = "x", type = "string", keys = ["a"] }'},
            "channels.orders.fields.x",
            '"json"',
        ),
        (
            {"fields": 'x = { column = "x", required = true, default = "a" }'},
            "channels.orders.fields.x",
            "required and has a default",
        ),
        (
            {"fields": 'x = { column = "x", key = "a", keys = ["b"] }'},
            "channels.orders.fields.x",
            "key, which shows one value, and keys",
        ),
        ({"fields": 'x = { column = "x", only = { s = [] } }'}, "channels.orders.fields.x.only.s", "empty"),
        (
            {"fields": "x = { constant = 1, default = 2 }"},
            "channels.orders.fields.x",
            "takes no default",
        ),
        ({"fields": 'x = { lookup = "customer" }'}, "channels.orders.fields.x", '"name.column"'),
        ({"fields": 'x = { lookup = "customer.email" }'}, "channels.orders", "add lookups.customer"),
        ({"channel": 'lookups.a = { key = "a", sql = "SELECT 1" }'}, "channels.orders.lookups.a", "%(keys)s"),
        (
            {"channel": 'lookups.a = { key = "a", sql = "… %(keys)s", reverse = "SELECT 1" }'},
            "channels.orders.lookups.a",
            "%(values)s",
        ),
        (
            {"channel": 'lookups.a = { key = "a", sql = "%(keys)s", reads = { t = ["x"] } }'},
            "reads",
            '"schema.table"',
        ),
        ({"when": "level = 1.5"}, "policies[1].when", "neither string, integer nor boolean"),
        ({"when": "role = []"}, "policies[1].when", "never matches"),
        ({"channels": '"order"'}, 'policies[1] "everybody"', "grants channel order, which is not declared"),
        ({"channels": ""}, "policies[1].channels", "must not be empty"),
        ({"policy": "where = { school = 1 }"}, 'policies[1] "everybody"', "channel orders lacks"),
    ],
)
def test_a_fault_names_key_and_remedy(tmp_path: Path, parts: dict[str, str], key: str, why: str) -> None:
    """Whatever is wrong, the line says which key and what would be right."""
    line = _fault(tmp_path, **parts)
    assert key in line
    assert why in line


@pytest.mark.parametrize("table", ["orders", "a.b.c", "public.", 'public."orders"', "public.my orders"])
def test_tables_are_named_with_their_schema(tmp_path: Path, table: str) -> None:
    """A table is written schema.table, as the catalog spells it."""
    path = tmp_path / "config.toml"
    path.write_text(
        f"[database]\ndsn = 'x'\n[channels.a]\ntable = '{table}'\nfields = {{ id = {{ column = 'id' }} }}\n"
    )
    with pytest.raises(ConfigError, match=r'channels.a.table must be "schema.table"'):
        load(path, {})


@pytest.mark.parametrize("name", ["Orders", "my orders", "1st", "a" * 64])
def test_channels_have_names_fit_for_the_wire(tmp_path: Path, name: str) -> None:
    """A channel's name is lower-case letters, digits, underscores and dashes."""
    path = tmp_path / "config.toml"
    path.write_text(
        f"[database]\ndsn = 'x'\n[channels.'{name}']\ntable = 'public.a'\nfields = {{ id = {{ column = 'id' }} }}\n"
    )
    with pytest.raises(ConfigError, match="rename the channel"):
        load(path, {})


def test_a_channel_shows_something(tmp_path: Path) -> None:
    """A channel without fields, or with hidden ones only, is refused."""
    path = tmp_path / "config.toml"
    head = "[database]\ndsn = 'x'\n[channels.a]\ntable = 'public.a'\n"
    path.write_text(head)
    with pytest.raises(ConfigError, match=r"channels\.a\.fields is missing"):
        load(path, {})
    path.write_text(head + "fields = { id = { column = 'id', hidden = true } }\n")
    with pytest.raises(ConfigError, match="hides all its fields"):
        load(path, {})


def test_an_unknown_key_is_told_before_what_it_made_missing(tmp_path: Path) -> None:
    """A misspelled required key is reported as the misspelling, with the number of further faults."""
    path = tmp_path / "config.toml"
    path.write_text('[database]\ndns = "x"\n')
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert (
        str(caught.value)
        == f'{path}: database.dns is no setting; did you mean "dsn"? (and 1 more to correct)'
    )


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({}, "environment: database.dsn is missing; set it in the config file or as RELAY_DATABASE__DSN"),
        (
            {"RELAY_SERVER__PROT": "1"},
            'environment variable RELAY_SERVER__PROT: server.prot is no setting; did you mean "port"?',
        ),
        (
            {"RELAY_SERVR__PORT": "1"},
            'environment variable RELAY_SERVR__PORT: servr is no setting; did you mean "server"?',
        ),
        (
            {"RELAY_SERVER__PORT": "many"},
            "environment variable RELAY_SERVER__PORT: server.port must be an integer; leave it out for",
        ),
        (
            {"RELAY_AUTH__SECRETS": "short"},
            "environment variable RELAY_AUTH__SECRETS: auth.secrets holds a secret of 5 bytes and needs 32; make",
        ),
        (
            {"RELAY_CHANNELS": "{"},
            "environment variable RELAY_CHANNELS must hold JSON; write lists and tables as JSON",
        ),
        ({"RELAY_CHANNELS": "[]"}, "environment variable RELAY_CHANNELS: channels must be a table"),
    ],
)
def test_a_fault_in_a_variable_names_the_variable(variables: dict[str, str], line: str) -> None:
    """What came from the environment is blamed on its variable, and never repeats the value."""
    dsn = {"RELAY_DATABASE__DSN": "x"} if variables else {}
    with pytest.raises(ConfigError) as caught:
        load(None, dsn | variables)
    assert str(caught.value).startswith(line)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a directory, bytes that are no text and text that is no TOML are four different lines."""
    missing = tmp_path / "none.toml"
    with pytest.raises(
        ConfigError, match=r"there is no config file .*none\.toml; .*install --example-config > .*none\.toml"
    ):
        load(missing, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(binary, {})
    broken = tmp_path / "broken.toml"
    broken.write_text("[server]\nport 8765\n")
    with pytest.raises(ConfigError, match=r"is not valid TOML: .*line 2.*; correct that line"):
        load(broken, {})
