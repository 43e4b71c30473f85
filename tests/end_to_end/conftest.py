"""What end-to-end tests share: examples/django served beside a relay, and a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import playwright.async_api
import pytest
import pytest_asyncio

from tests.support.acceptance import Stage
from tests.support.browser import Browser
from tests.support.chromium import chromium_browser
from tests.support.dashboard import Dashboard, watching
from tests.support.database import Database, new_database
from tests.support.django_site import Site, site_on
from tests.support.live_page import Tabs, tabs
from tests.support.relay import RunningRelay, running_relay, settings_for
from tests.support.second_relay import SecondRelay
from tests.support.server import Server
from tests.support.stripe import Stripe

ALL = ("transactions", "webhooks", "disputes", "fraud_alerts")


@pytest.fixture(scope="package")
def site(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example as its README sets it up: migrated by an owner who is no superuser, installed, served."""
    with site_on(postgres, tmp_path_factory.mktemp("site")) as site:
        site.manage("migrate", "--verbosity", "0")
        site.manage("sample_people")
        done = site.relay("install", "--apply")
        assert done.returncode == 0, done.stdout + done.stderr
        asyncio.run(site.start())
        yield site


@pytest.fixture(scope="package")
def administrator(site: Site) -> Browser:
    """Where the superuser has signed in."""
    return site.browser("admin@example.org")


@pytest.fixture(scope="package")
def student(site: Site) -> Browser:
    """Where a student of Riverside has signed in."""
    return site.browser("student@example.org")


@pytest.fixture
def stripe(site: Site) -> Stripe:
    """Stripe."""
    return site.stripe


@pytest.fixture
async def dashboard(administrator: Browser) -> AsyncIterator[Dashboard]:
    """The superuser's dashboard, with every channel."""
    async with watching(administrator, *ALL) as dashboard:
        yield dashboard


@pytest.fixture
async def rows(site: Site) -> AsyncIterator[Database]:
    """The site's database."""
    database = site.database()
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[playwright.async_api.Browser]:
    """One Chromium for all tests; each opens contexts of its own. Tests that use it share the session's loop."""
    async with chromium_browser() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def payments(postgres: Server, template: str) -> AsyncIterator[Database]:
    """The database of all tests of a module that look at the dashboard."""
    async with new_database(postgres, template) as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(payments: Database) -> AsyncIterator[RunningRelay]:
    """The relay that serves the dashboard to those tests, with the demo's channels and policies."""
    async with running_relay(settings_for(payments.daemon_dsn)) as relay:
        yield relay


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: playwright.async_api.Browser, served: RunningRelay) -> AsyncIterator[Tabs]:
    """A browser on the dashboard."""
    async with tabs(chromium, served) as dashboard:
        yield dashboard


@pytest.fixture(scope="package")
def second(site: Site, tmp_path_factory: pytest.TempPathFactory) -> SecondRelay:
    """A relay that speaks TLS and may be stopped, beside the site's own; not running yet."""
    return SecondRelay(site, tmp_path_factory.mktemp("second"))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(
    chromium: playwright.async_api.Browser,
    site: Site,
    second: SecondRelay,
    student: Browser,
    administrator: Browser,
) -> AsyncIterator[Stage]:
    """The site with some payments, and an administrator who has signed in."""
    stage = Stage(chromium, site, second, site.database(), student, administrator)
    async with stage.person(cookies={}) as person:
        await person.sign_in("admin@example.org")
        stage.cookies = await person.context.storage_state()
    for _ in range(3):
        stage.pay()
    stage.buy()
    yield stage
    await stage.rows.close()
