"""Settings of aggregates: what they refuse, in one line with the remedy, and who may be granted one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from relay.config import Settings, load
from relay.errors import ConfigError
from relay.routing.needs import needs
from relay.routing.policies import compile_policies
from relay.routing.view import UNSCOPED

METRICS = """
[aggregates.metrics.transactions]
table = "public.payment"
status = "state"
amount = "total"
created_at = "made_at"
"""
CHANNEL = '[channels.orders]\ntable = "public.orders"\nfields = { id = { column = "id" } }\n'
ALL = '[[policies]]\nname = "all"\nwhen = {}\nchannels = ["*"]\n'
SCOPED = '[[policies]]\nname = "owner"\nwhen = {}\nchannels = [CHANNELS]\nwhere = { id = "1" }\n'


def read(tmp_path: Path, text: str) -> Settings:
    """Settings from a file."""
    path = tmp_path / "config.toml"
    path.write_text(f'[database]\ndsn = "x"\n{text}')
    return load(path, {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (METRICS + "failed = []", "aggregates.metrics.transactions.failed must not be empty"),
        (
            METRICS + 'paied = ["x"]',
            'aggregates.metrics.transactions.paied is no setting; did you mean "paid"?',
        ),
        (METRICS + 'average_window = "1y"', "aggregates.metrics.transactions.average_window"),
        (METRICS + 'attempted = ["failed"]', 'has "completed" among succeeded and not among attempted'),
        (METRICS + "trend_points = 999", "longer than 30 days"),
        (METRICS + "stuck_minutes = 50000", "aggregates.metrics.transactions.stuck_minutes"),
        ("[aggregates.metrics]", "needs exactly one of transactions and webhooks"),
        (
            '[aggregates.w.webhooks]\ntable="a.b"\nendpoint_url="/"\nstatus="s"\ncreated_at="c"\nprocessed_at="p"\n'
            '[aggregates.w.alerts]\ntable="a.c"\nstatus="s"',
            "beside which there are no disputes or alerts",
        ),
        (METRICS.replace("metrics", '"My Metrics"'), 'aggregates."My Metrics" must be lower-case'),
        (METRICS.replace("metrics", "orders") + CHANNEL, "aggregates.orders has the name of a channel"),
        (
            '[aggregates.metrics.alerts]\ntable = "public.alert"',
            "aggregates.metrics.alerts.status is missing",
        ),
        (
            METRICS + CHANNEL + SCOPED.replace("CHANNELS", '"*"'),
            'policies[1] "owner" has a where and grants metrics',
        ),
        (
            METRICS + CHANNEL + SCOPED.replace("CHANNELS", '"orders", "metrics"'),
            "do not grant metrics there",
        ),
    ],
)
def test_what_cannot_work_is_told_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    """The line names the key, what is wrong with it, and what to do."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aggregates_are_granted_like_channels(tmp_path: Path) -> None:
    """A star and a name both grant an aggregate, and what it grants is without scope."""
    text = METRICS + CHANNEL + ALL
    for policies in (text, text.replace('"*"', '"metrics"')):
        settings = read(tmp_path, policies)
        grants = compile_policies(settings.policies, {}, aggregates=settings.aggregates).decide({})
        assert grants is not None
        assert grants.channels == {"metrics"}
        assert grants.scope("metrics") is UNSCOPED


def test_a_scoped_policy_cannot_grant_an_aggregate_even_if_it_was_built_by_hand(tmp_path: Path) -> None:
    """The compiler of policies holds to it, too: global numbers for a tenant are the worst leak there is."""
    scoped = read(tmp_path, CHANNEL + SCOPED.replace("CHANNELS", '"*"'))
    with pytest.raises(ConfigError, match='policy "owner" has a where and grants metrics'):
        compile_policies(scoped.policies, {}, aggregates=["metrics"])


def test_what_is_counted_is_watched(tmp_path: Path) -> None:
    """The columns of an aggregate are needed beside those of the channels of the same table."""
    settings = read(tmp_path, METRICS + CHANNEL.replace("orders", "payment"))
    assert needs(settings) == {"public.payment": frozenset({"id", "state", "total", "made_at"})}


def test_variables_reach_into_an_aggregate(tmp_path: Path) -> None:
    """A variable refines a declared aggregate like any other table of settings."""
    path = tmp_path / "config.toml"
    path.write_text(f'[database]\ndsn = "x"\n{METRICS}')
    variables = {"RELAY_AGGREGATES__METRICS__TRANSACTIONS__ATTEMPTED": "[]"}
    counts = load(path, variables).aggregates["metrics"].transactions
    assert counts is not None
    assert counts.attempted == ()


def test_settings_built_in_python_are_checked_alike() -> None:
    """What a file would refuse, the model refuses."""
    tree: dict[str, Any] = {"database": {"dsn": "x"}, "aggregates": {"metrics": {}}}
    with pytest.raises(ValidationError, match="exactly one of transactions and webhooks"):
        Settings.model_validate(tree)
