"""examples/django and its migrations: those that carry the relay's SQL, and those that pull the rug from under it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dashboard import told, watching
from tests.support.database import Database
from tests.support.django_site import Site, site_on
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)

#: A release that changes watched tables in all four ways.
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("finances", "0001_initial")]
    operations = [
        migrations.AddField("purchasetransaction", "coupon", models.CharField(blank=True, default="", max_length=20)),
        migrations.RemoveField("purchasetransaction", "expires_at"),
        migrations.RenameField("webhookeventlog", "error_message", "failure_message"),
        migrations.AlterField("webhookeventlog", "retry_count", models.BigIntegerField(default=0)),
    ]
"""
#: A column goes, and leaves the allow-list in the same transaction.
WITHOUT_DRIFT = """
from django.db import migrations

from relay_schema.watching import watch

AFTER = "id student_id transaction_type amount payment_status stripe_payment_intent_id metadata created_at updated_at"


class Migration(migrations.Migration):
    dependencies = [("finances", "0001_initial"), ("relay_schema", "0002_watch")]
    operations = [
        watch("finances_purchasetransaction", AFTER, before=AFTER + " expires_at"),
        migrations.RemoveField("purchasetransaction", "expires_at"),
    ]
"""
#: The same as MIGRATION in the code, and what the relay's config has to say afterwards.
CHANGES = {
    "finances/models.py": {
        "    expires_at = models.DateTimeField(null=True, blank=True)\n":
            '    coupon = models.CharField(max_length=20, blank=True, default="")\n',
        "error_message = models.TextField(blank=True)": "failure_message = models.TextField(blank=True)",
        "models.PositiveIntegerField(default=0)": "models.BigIntegerField(default=0)",
    },
    "finances/webhooks.py": {
        "log.error_message": "log.failure_message",
        '"error_message"': '"failure_message"',
    },
}  # fmt: skip
ADAPTED = {
    "relay.toml": {
        'expires_at = { column = "expires_at", type = "timestamp" }': 'coupon = { column = "coupon" }',
        "# --- who may see it": """
[channels.webhooks.fields]
error_message = { column = "failure_message", blank = false }

[aggregates.webhook_status.webhooks]
error_message = "failure_message"

# --- who may see it""",
    },
}


def edit(site: Site, changes: dict[str, dict[str, str]]) -> None:
    """Make these replacements in the site's files; each has to be possible exactly once, or more often as asked."""
    for name, replacements in changes.items():
        path = site.directory / name
        text = path.read_text()
        for old, new in replacements.items():
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        path.write_text(text)


@pytest.fixture
def site(postgres: Server, tmp_path: Path) -> Iterator[Site]:
    """The example on a database where nothing was done yet."""
    with site_on(postgres, tmp_path) as site:
        yield site


@pytest.fixture
def site_by_migration(postgres: Server, tmp_path: Path) -> Iterator[Site]:
    """The same, for those who want the relay's SQL in migrations."""
    with site_on(postgres, tmp_path, RELAY_BY_MIGRATION="1") as site:
        yield site


@pytest.fixture
async def rows(site: Site) -> AsyncIterator[Database]:
    """The site's database."""
    database = site.database()
    yield database
    await database.close()


async def test_migrations_can_carry_the_relays_sql(site_by_migration: Site) -> None:
    """`migrate` alone gives what `relay install` gives; backwards it leaves nothing, and it can go forward again."""
    site = site_by_migration
    database = site.database()
    try:
        for _ in range(2):
            site.manage("migrate", "--verbosity", "0")
            assert site.relay("install").stdout.endswith("nothing to do\n")
            site.manage("migrate", "relay_schema", "zero", "--verbosity", "0")
            assert await database.execute("SELECT to_regnamespace('relay')::text") == [(None,)]
            triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '!relay%%'"
            assert await database.execute(triggers) == [(0,)]
    finally:
        await database.close()


async def test_a_migration_that_watches_anew_leaves_no_drift(site_by_migration: Site) -> None:
    """relay.watch beside the change of the table: both commit at once, capture is whole all the time, both ways."""
    site = site_by_migration
    config = (site.directory / "relay.toml").read_text()
    site.manage("migrate", "--verbosity", "0")
    (site.directory / "finances" / "migrations" / "0002_no_expiry.py").write_text(WITHOUT_DRIFT)
    edit(site, {"relay.toml": {'expires_at = { column = "expires_at", type = "timestamp" }': ""}})
    site.manage("migrate", "--verbosity", "0")
    assert site.relay("status").returncode == 0
    assert site.relay("install").stdout.endswith("nothing to do\n")
    site.manage("migrate", "finances", "0001", "--verbosity", "0")
    (site.directory / "relay.toml").write_text(config)
    assert site.relay("install").stdout.endswith("nothing to do\n")


async def test_a_later_migration_breaks_no_write_and_can_be_mended(site: Site, rows: Database) -> None:
    """Columns added, renamed, retyped and dropped: writes go on, the drift is told, and install mends it."""
    site.manage("migrate", "--verbosity", "0")
    site.manage("sample_people")
    assert site.relay("install", "--apply").returncode == 0
    await site.start()
    student, stripe = site.browser("student@example.org"), site.stripe

    def buy_and_fail() -> dict[str, Any]:
        """Writes to both tables that change."""
        answer = student.post("/api/finances/checkout/", {"plan": "trial"})
        assert answer.status == 201, site.log("backend")
        failed = stripe.about(answer.json, "payment_intent.succeeded", amount_received=1)
        assert stripe.deliver(failed).json == {"status": "failed"}, site.log("backend")
        bought: dict[str, Any] = answer.json
        return bought

    async with watching(
        site.browser("admin@example.org"), "transactions", "webhooks", "disputes"
    ) as dashboard:
        buy_and_fail()
        assert len(await dashboard.news("transaction_update", "webhook_event")) == 3

        # The release: the relay goes on running, with the config of before.
        (site.directory / "finances" / "migrations" / "0002_a_later_release.py").write_text(MIGRATION)
        edit(site, CHANGES)
        site.manage("makemigrations", "--check")  # the models and the migration agree
        site.manage("migrate", "--verbosity", "0")
        degraded = await dashboard.client.take("capture_status")
        assert degraded["status"] == "degraded"
        assert degraded["reason"] == "some changes cannot be shown in full"
        site.stop("backend")
        site.launch_backend()
        await eventually(site.backend_answers)
        lost = buy_and_fail()
        # A table that did not change is captured and shown as before.
        opened = {"id": "dp_1", "currency": "eur", "reason": "general", "status": "needs_response"}
        assert stripe.deliver(stripe.about(lost, "charge.dispute.created", **opened)).status == 200
        await dashboard.client.take("dispute_update")

        # Everybody is told: who watches, and who looks. Nobody goes on showing rows that might be wrong.
        ended = {name for frame in dashboard.client.of("unsubscribed") for name in frame["channels"]}
        assert ended == {"transactions", "webhooks"}
        status = site.relay("status")
        assert status.returncode == 1
        for words in (
            "column expires_at is gone",
            "column error_message is gone",
            "column retry_count was integer and is bigint",
            "added since, not watched: coupon",
        ):
            assert words in status.stdout
        drifted = await rows.execute(
            "SELECT source FROM relay.watched WHERE drift IS NOT NULL ORDER BY source"
        )
        assert drifted == [("public.finances_purchasetransaction",), ("public.finances_webhookeventlog",)]
        refused = site.relay("install", "--apply")
        assert refused.returncode == 3
        assert "column expires_at of public.finances_purchasetransaction" in refused.stderr

        # The remedy: name the columns there are, watch them, read the config again.
        edit(site, ADAPTED)
        mended = site.relay("install", "--apply")
        assert mended.returncode == 0, mended.stderr
        assert site.relay("status").returncode == 0
        site.reload_relay()
        await eventually(lambda: '"reloaded"' in site.log("relay") or "reload_refused" in site.log("relay"))
        assert "reload_refused" not in site.log("relay")
        while (await dashboard.client.take("capture_status"))["status"] != "ok":
            pass
        await dashboard.client.send("subscribe", channels=["transactions", "webhooks"], snapshot=10)
        snapshot = await dashboard.client.take("snapshot", where=lambda f: f["channel"] == "transactions")
        assert lost["id"] in [int(row["id"]) for row in snapshot["rows"]]
        await dashboard.news()
        buy_and_fail()
        frames = await dashboard.news("transaction_update", "webhook_event")
        assert told(frames) == [
            ("created", "pending", None),
            ("created", "pending", None),
            ("status_changed", "failed", "pending"),
        ]
        assert frames[0]["data"]["transaction"]["coupon"] == ""
        shown = frames[2]["data"]["event"]
        assert (shown["attempts"], shown["error_message"]) == (
            1,
            "Stripe received 0.01 for a purchase of 9.90",
        )
