"""``relay explain`` on a real outbox, beside a relay that sends the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import relay.demo
from tests.support.client import connected
from tests.support.commands import AUTH, Commands, isolate, one_line
from tests.support.database import Database
from tests.support.payments import move, pay, student
from tests.support.relay import OWNER, running_relay, settings_for


@pytest.fixture
def commands(
    database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Commands:
    """Commands with the demo's configuration, as the daemon's role."""
    isolate(tmp_path, monkeypatch)
    demo = (Path(relay.demo.__file__).parent / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(demo)
    monkeypatch.setenv("RELAY_DATABASE__DSN", database.daemon_dsn)
    for name, value in AUTH.items():
        monkeypatch.setenv(name, value)
    return Commands(capsys, tmp_path)


async def newest(database: Database) -> str:
    """The id of the newest event."""
    ((event,),) = await database.execute("SELECT max(id) FROM relay.event")
    return str(event)


CLAIMS = ("--claim", "role=school_owner", "--claim", "school_ids=[1]")


async def test_the_explanation_holds_the_message_that_was_sent(
    commands: Commands, database: Database
) -> None:
    """What explain shows of an event is, to the letter, what the relay sends to a client with these claims."""
    user = await student(database, school=1)
    payment = await pay(database, user, stripe_payment_intent_id="pi_3MtwBwLkdIwHu7ix28a3tqPa")
    async with running_relay(settings_for(database.daemon_dsn)) as running:
        await running.settle()
        async with connected(running.url, running.token(OWNER)) as client:
            await client.send("subscribe", channels=["transactions"])
            await client.take("checkpoint")
            await move(database, payment, "failed")
            sent = await client.take("transaction_update")
    code, out, err = await commands("explain", "--event", sent["id"], *CLAIMS, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out.splitlines()[-1])  # the relay of this test logs to the same place
    assert told["policy"] == "school owner"
    assert [each["unmet"] for each in told["policies"]] == ["is_superuser", "is_staff", None]
    (account, dispute) = told["channels"]
    assert account["message"] == sent
    assert sent["data"]["transaction"]["payment_intent_id"] == "28a3tqPa"
    assert account["scope"][0]["values"] == [[1], [1]]
    assert dispute["verdict"] == "nothing"
    assert told["aggregates"] == {"metrics": False}


async def test_the_text_says_who_what_and_why(commands: Commands, database: Database) -> None:
    """One line for each thing that had a say; colours only on a terminal."""
    await pay(database, await student(database, school=2))
    event = await newest(database)
    code, out, _ = await commands("explain", "--event", event, *CLAIMS, "--filter", '{"status": "failed"}')
    assert code == 0
    assert f"event {event}: insert of public.finances_purchasetransaction" in out
    assert 'policy "global admin" does not match: claim is_superuser' in out
    assert 'policy "school owner" decides' in out
    assert f"transactions {event}: nothing" in out
    assert "why      the policy's scope does not match the row" in out
    assert "scope    school_ids overlaps [1]: after no ([2])" in out
    assert 'filter   status eq "failed": after no ("pending")' in out
    assert "mask     customer_email: email" in out
    assert "metrics: counted there, not seen by this person" in out
    assert "\x1b" not in out


async def test_a_row_that_is_quarantined_is_explained(commands: Commands, database: Database) -> None:
    """The reason is the field and what was wrong with it; the superuser is told withheld."""
    await pay(database, await student(database), amount="NaN")
    code, out, _ = await commands(
        "explain", "--event", await newest(database), "--claim", "is_superuser=true"
    )
    assert code == 0
    assert "bad row  field amount" in out
    assert '"type":"withheld"' in out


async def test_who_is_granted_nothing_cannot_connect(commands: Commands, database: Database) -> None:
    """Claims that no policy matches, or whose scope lacks its claim, are told so; that is no error."""
    await pay(database, await student(database))
    event = await newest(database)
    code, out, _ = await commands("explain", "--event", event, "--claim", "role=student")
    assert code == 0
    assert "nothing is granted, so this person cannot connect" in out
    code, out, _ = await commands("explain", "--event", event, "--claim", "role=school_owner")
    assert code == 0
    assert "expects a claim that the token has" in out or "no policy matches" in out


async def test_a_change_of_a_look_up_is_explained(commands: Commands, database: Database) -> None:
    """A membership's event is a resync for the owner of that school; the registered claims may be given, too."""
    await student(database, school=1)
    code, out, _ = await commands("explain", "--event", await newest(database), *CLAIMS, "--claim", "sub=ana")
    assert code == 0
    assert "transactions: resync" in out
    assert "what they have is void: scope_changed" in out


@pytest.mark.parametrize(
    ("argv", "exit_code", "said"),
    [
        (("--event", "1e9"), 2, '"1e9" is no id of an event'),
        (("--event", "-5"), 2, '"-5" is no id of an event'),
        (("--event", "7", "--claim", "x"), 2, '"x" is no claim'),
        (("--event", "7", "--filter", "[]"), 2, "--filter is no JSON object"),
        (("--event", "999999999"), 1, "event 999999999 is not in the outbox"),
    ],
)
async def test_mistakes_are_one_line(
    commands: Commands, argv: tuple[str, ...], exit_code: int, said: str
) -> None:
    """Usage, an event that is gone: one line on standard error and the exit code for it."""
    code, out, err = await commands("explain", *argv)
    assert (code, out) == (exit_code, "")
    assert said in one_line(err)


async def test_a_database_without_the_schema_is_named(
    commands: Commands, bare_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is installed, or nobody answers, the exit code is 4."""
    monkeypatch.setenv("RELAY_DATABASE__DSN", bare_database.dsn)
    code, _, err = await commands("explain", "--event", "1")
    assert code == 4
    assert "relay install --apply" in one_line(err)
