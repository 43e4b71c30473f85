"""A preset under a config: what goes over what, what is taken away, and whose fault an error is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relay.config import Settings, load
from relay.config_preset import PRESETS
from relay.errors import ConfigError, MappingError
from relay.routing.needs import needs

HEAD = 'preset = "payments"\n[database]\ndsn = "dbname=x"\n'


def settings(
    tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, head: str = HEAD
) -> Settings:
    """The settings of a config with the preset and ``text``."""
    path = tmp_path / "config.toml"
    path.write_text(head + text)
    return load(path, environ or {})


def error(tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, head: str = HEAD) -> str:
    """What is wrong with a config."""
    with pytest.raises(ConfigError) as wrong:
        settings(tmp_path, text, environ, head)
    return str(wrong.value)


def test_a_name_is_enough(tmp_path: Path) -> None:
    """The preset has the four channels and the two aggregates, and says nothing of policies."""
    whole = settings(tmp_path)
    assert set(whole.channels) == {"transactions", "webhooks", "fraud_alerts", "disputes"}
    assert set(whole.aggregates) == {"metrics", "webhook_status"}
    assert whole.policies == ()
    assert settings(tmp_path, head='[database]\ndsn = "dbname=x"\n').channels == {}


def test_the_environment_may_name_it(tmp_path: Path) -> None:
    """RELAY_PRESET names a preset, or none where the file names one; other variables go over it."""
    bare = '[database]\ndsn = "dbname=x"\n'
    found = settings(tmp_path, environ={"RELAY_PRESET": "payments"}, head=bare)
    assert found.channels == settings(tmp_path).channels
    assert settings(tmp_path, environ={"RELAY_PRESET": ""}).channels == {}
    found = settings(tmp_path, environ={"RELAY_CHANNELS__TRANSACTIONS__ORDER": "id desc"})
    assert found.channels["transactions"].order == "id desc"
    assert settings(tmp_path).channels["transactions"].order == "created_at desc"


OVER = """
[channels]
disputes = false
[channels.transactions]
table = "billing.payment"
actions = { lost = ["failed"] }
[channels.transactions.fields]
currency = { column = "currency" }
metadata = false
invoice = { column = "invoice" }
[channels.transactions.lookups.customer]
key = "payer"
sql = "SELECT id, email, name FROM payer WHERE id = ANY(%(keys)s)"
[channels.refunds]
table = "billing.refund"
fields = { id = { column = "id" } }
[aggregates.metrics]
disputes = false
[aggregates.metrics.transactions]
paid = ["completed", "settled"]
"""


def test_what_a_config_says_goes_over_the_preset(tmp_path: Path) -> None:
    """Values, fields and look-ups take the place of the preset's as a whole, new ones are added, false takes away."""
    over, under = settings(tmp_path, OVER), settings(tmp_path)
    assert set(over.channels) == {"transactions", "webhooks", "fraud_alerts", "refunds"}
    ours, theirs = over.channels["transactions"], under.channels["transactions"]
    assert (ours.table, ours.order, ours.message) == ("billing.payment", theirs.order, theirs.message)
    assert ours.actions == {"lost": ("failed",)}
    assert set(ours.fields) == {*theirs.fields, "invoice"} - {"metadata"}
    assert (ours.fields["currency"].column, ours.fields["currency"].constant) == ("currency", None)
    assert ours.fields["amount"] == theirs.fields["amount"]
    assert (ours.lookups["customer"].key, ours.lookups["customer"].reads) == ("payer", {})
    assert ours.lookups["tenant"] == theirs.lookups["tenant"]
    metrics = over.aggregates["metrics"]
    assert metrics.disputes is None
    assert metrics.alerts == under.aggregates["metrics"].alerts
    assert metrics.transactions is not None
    assert metrics.transactions.paid == ("completed", "settled")
    assert metrics.transactions.table == "public.finances_purchasetransaction"
    assert over.channels["webhooks"] == under.channels["webhooks"]


def test_a_preset_that_there_is_not_is_named_with_those_there_are(tmp_path: Path) -> None:
    """A misspelled preset is one line with the name that was meant."""
    head = HEAD.replace("payments", "paymnets")
    assert error(tmp_path, head=head).endswith(
        'preset is "paymnets", which there is not; did you mean "payments"?'
    )
    assert error(tmp_path, head=HEAD.replace("payments", "x")).endswith("there is payments")
    assert str(tmp_path / "config.toml") in error(tmp_path, head=head)
    assert "preset must be a string" in error(tmp_path, head=HEAD.replace('"payments"', '["payments"]'))


def test_an_error_of_the_file_names_the_file(tmp_path: Path) -> None:
    """A key that the file says is the file's, inside a field and of a value over the preset alike."""
    own = str(tmp_path / "config.toml")
    assert error(tmp_path, '[channels.transactions]\norder = "a, b"\n').startswith(f"{own}: channels.trans")
    assert error(tmp_path, "[channels.transactions.fields]\namount = {}\n").startswith(
        f"{own}: channels.trans"
    )
    assert error(tmp_path, "[channels]\nnothing = false\n").startswith(f"{own}: channels.nothing")
    lost = error(tmp_path, "[channels.transactions.lookups]\ncustomer = false\n")
    assert lost.startswith(f'{own}: channels.transactions has fields.customer_email from look-up "customer"')


def test_an_error_of_the_preset_names_the_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the config left as it is in the preset is the preset's; a variable over it is the variable's."""
    broken = tmp_path / "broken.toml"
    broken.write_text('[channels.a]\ntable = "no_schema"\n[channels.a.fields]\nid = { column = "id" }\n')
    monkeypatch.setitem(PRESETS, "broken", broken)
    head = HEAD.replace("payments", "broken")
    assert error(tmp_path, head=head).startswith('preset broken: channels.a.table must be "schema.table"')
    assert error(tmp_path, environ={"RELAY_CHANNELS__A__TABLE": "x"}, head=head).startswith(
        "environment variable RELAY_CHANNELS__A__TABLE"
    )


@pytest.mark.parametrize(
    ("message", "whose"),
    [
        ('channels.transactions.fields.amount names column "amount"', True),
        ('channels.transactions.fields.invoice names column "invoice"', False),
        ("channels.transactions.lookups.customer.sql: no such table", False),
        ("channels.transactions.lookups.tenant.sql: no such table", True),
        ("table public.accounts_schoolmembership does not exist", True),
        ("column public.finances_webhookeventlog.status is not watched", True),
        ("table billing.payment does not exist", False),
        ("aggregates.metrics.transactions.amount is of type text", True),
    ],
)
def test_what_the_database_lacks_is_blamed_on_who_named_it(tmp_path: Path, message: str, whose: bool) -> None:
    """An error at start names the preset if the table, field or look-up in it is still the preset's."""
    found = str(settings(tmp_path, OVER).blame(MappingError(message)))
    assert found.startswith(message)
    assert ("preset payments" in found) is whose


def test_the_preset_never_needs_what_holds_secrets(tmp_path: Path) -> None:
    """No column that holds whole Stripe objects, passwords, evidence or notes is captured for it."""
    needed: dict[str, Any] = dict(needs(settings(tmp_path)))
    columns = set().union(*needed.values())
    assert not columns & {"payload", "password", "evidence_details", "internal_notes", "resolution_notes"}
    assert not columns & {"stripe_metadata", "actions_taken", "phone_number", "stripe_customer_id"}
