"""What single commands make of their arguments and settings, short of a database."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from relay.commands import tail
from relay.config import load
from tests.support.commands import AUTH, EXAMPLE, isolate, one_line, run


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in an empty directory, without variables of ours."""
    isolate(tmp_path, monkeypatch)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is the config, with a shared secret from the environment."""
    monkeypatch.setenv("RELAY_CONFIG", str(EXAMPLE))
    for name, value in AUTH.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["token", "--claim", "admin"], "write --claim name=value"),
        (["token", "--claim", "sub=x"], "use --subject and --ttl"),
        (["token", "--claim", "a=1", "--claim", "a=2"], "given twice"),
        (["token", "--ttl", "soon"], "as 90s, 15m, 24h or 7d"),
        (["token", "--ttl", "0h"], "as 90s, 15m, 24h or 7d"),
        (["token", "--subject", ""], "--subject is empty"),
        (["prune", "--keep", "24"], "as 90s, 15m, 24h or 7d"),
        (["schema", "orders"], "there is no channel orders; the config has transactions"),
        (["tail", "transactions"], "make one with"),
        (["tail", "transactions", "--token", "x", "--filter", "[]"], "no JSON object"),
        (["tail", "transactions", "--token", "x", "--filter", "{"], "no JSON object"),
        (["tail", "transactions", "--token", "x", "--since", "[1, 2]"], "copy the whole of it"),
        (["tail", "transactions", "--token", "x", "--url", "example.org"], "ws://host:port/path"),
        (["tail", "transactions", "--token", "x", "--snapshot", "501"], "0 to 500"),
        (["demo", "--port", "70000"], "0 to 65535"),
    ],
)
@pytest.mark.usefixtures("example")
def test_arguments_that_make_no_sense_are_usage(
    capsys: pytest.CaptureFixture[str], argv: list[str], why: str
) -> None:
    """A value that cannot be meant is one line that says what would be right, with exit code 2."""
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert why in one_line(err)


@pytest.mark.usefixtures("example")
def test_a_token_carries_its_claims(capsys: pytest.CaptureFixture[str]) -> None:
    """token prints a JWT whose claims are JSON where they are JSON and text otherwise."""
    import jwt

    argv = ["--claim", "role=school_owner", "--claim", "school_ids=[1, 2]", "--claim", "is_staff=true"]
    code, out, _ = run(capsys, "token", *argv, "--subject", "42", "--ttl", "15m")
    claims = jwt.decode(out.strip(), AUTH["RELAY_AUTH__SECRETS"], ["HS256"], audience="payment-relay")
    assert code == 0
    assert claims["exp"] - claims["iat"] == 900
    del claims["exp"], claims["iat"]
    assert claims == {
        "sub": "42",
        "aud": "payment-relay",
        "role": "school_owner",
        "school_ids": [1, 2],
        "is_staff": True,
    }


@pytest.mark.usefixtures("example")
def test_tokens_cannot_be_made_with_public_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tokens are checked with public keys, token refuses and says who can make them."""
    monkeypatch.delenv("RELAY_AUTH__SECRETS")
    monkeypatch.setenv("RELAY_AUTH__ALGORITHMS", "RS256")
    monkeypatch.setenv("RELAY_AUTH__JWKS_URL", "https://example.org/keys")
    code, _, err = run(capsys, "token")
    assert code == 3
    assert "only your identity provider can make tokens" in one_line(err)


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"RELAY_AUTH__SECRETS": "[]"}, "auth has no keys"),
        ({"RELAY_CHANNELS": "{}", "RELAY_AGGREGATES": "{}", "RELAY_POLICIES": "[]"}, "channels is empty"),
        ({"RELAY_POLICIES": "[]"}, "policies is empty"),
    ],
)
@pytest.mark.usefixtures("example")
def test_serve_starts_only_with_all_it_needs(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    why: str,
) -> None:
    """Without keys, channels or policies there is nothing to serve: exit code 3 before any connection is made."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, _, err = run(capsys, "serve")
    assert code == 3
    assert why in one_line(err)


@pytest.mark.usefixtures("example")
def test_a_database_that_is_not_there_isone_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command that needs the database names where it looked and what to check, with exit code 4."""
    with socket.socket() as held:  # bound and not listening: nobody else can take it, and nobody answers
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        monkeypatch.setenv("RELAY_DATABASE__DSN", f"postgresql://relay:geheim@127.0.0.1:{port}/payments")
        for name in ("install", "uninstall", "status", "prune"):
            code, _, err = run(capsys, name)
            assert code == 4
            assert f"cannot connect to relay@127.0.0.1:{port}/payments" in one_line(err)
            assert "database.dsn" in err
            assert "geheim" not in err


@pytest.mark.usefixtures("example")
def test_a_connection_string_that_is_none_never_shows_its_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A DSN that libpq cannot read is named by the option it came from and not repeated."""
    code, _, err = run(capsys, "status", "--dsn", "postgresql://relay:ge heim@db/payments")
    assert code == 4
    assert "--dsn is not a connection string" in one_line(err)
    assert "heim" not in err
    _, _, err = run(capsys, "status", "--dsn", "host=db pasword=geheim")
    assert 'there is no option "pasword"' in err
    assert "geheim" not in err


@pytest.mark.usefixtures("example")
def test_tail_says_where_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """tail gives up at once if it never reached a relay, and names the address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{held.getsockname()[1]}/ws/"
        code, _, err = run(capsys, "tail", "transactions", "--token", "x", "--url", url)
    assert code == 1
    assert f"no relay answers at {url}" in one_line(err)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "ws://127.0.0.1:8765/ws/payment-monitoring/"),
        ({"RELAY_SERVER__HOST": "0.0.0.0", "RELAY_SERVER__PATHS": "/x"}, "ws://127.0.0.1:8765/x"),
        ({"RELAY_SERVER__HOST": "::", "RELAY_SERVER__PORT": "1"}, "ws://[::1]:1/ws/payment-monitoring/"),
        (
            {"RELAY_SERVER__TLS_KEY": "k", "RELAY_SERVER__TLS_CERTIFICATE": "c", "RELAY_SERVER__HOST": "h"},
            "wss://h:8765/ws/payment-monitoring/",
        ),
    ],
)
def test_tail_finds_the_relay_of_the_config(variables: dict[str, str], url: str) -> None:
    """The address is made of host, port, TLS and the first path; a wildcard address means this machine."""
    assert tail.default_url(load(EXAMPLE, variables).server) == url


@pytest.mark.usefixtures("example")
def test_schema_prints_json_or_typescript(capsys: pytest.CaptureFixture[str]) -> None:
    """schema is one JSON document, or TypeScript, of all channels or of those that are named."""
    schema: dict[str, Any] = json.loads(run(capsys, "schema")[1])
    assert {"TransactionsChange", "WebhooksChange", "Checkpoint"} <= set(schema["$defs"])
    schema = json.loads(run(capsys, "schema", "--compat")[1])
    assert schema["title"] == "OldMessage"
    assert {"Transactions", "Webhooks", "Metrics", "Error"} <= set(schema["$defs"])
    out = run(capsys, "schema", "--typescript", "disputes")[1]
    assert "export interface DisputesRow {" in out
    assert "Transactions" not in out
