"""Pictures of the dashboard: on a desk and on a phone, by day and by night. Nothing sticks out of any of them.

With RELAY_WRITE_PICTURES=1 they are written to docs/pictures, from where docs/dashboard.md shows them.
"""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import playwright.async_api
import pytest
import pytest_asyncio

from relay.demo.traffic import Traffic
from relay.resources import sql_directory
from tests.support.database import Database, new_database
from tests.support.live_page import LivePage, tabs
from tests.support.relay import RunningRelay, running_relay, settings_for
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
#: What one scheme's may weigh together, in bytes: pictures are part of every clone.
MOST_BYTES = 195_000

STICKING_OUT = """[...document.querySelectorAll("body *")].filter(node => {
  const box = node.getBoundingClientRect();
  const scrolls = node.closest(".chips, .scroll, .unseen, svg, dialog");
  return node.offsetParent && !scrolls && box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map(node => node.outerHTML.slice(0, 120))"""


#: Text whose contrast with what is behind it is below 4.5, or 3 where it is large (WCAG 2.1, 1.4.3).
TOO_FAINT = """() => {
  // Through a canvas, which knows every notation that CSS has.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pixel = canvas.getContext("2d", { willReadFrequently: true });
  const rgb = (...layers) => {
    for (const colour of layers) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (channels) => {
    const linear = (each) => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = channels.map((each) => linear(each / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) layers.unshift(getComputedStyle(each).backgroundColor);
    return layers;
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest("svg, .unseen, .skip, script")) continue;
    const style = getComputedStyle(node);
    const layers = behind(node);
    const [a, b] = [light(rgb(...layers)), light(rgb(...layers, style.color))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio >= (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) continue;
    faint.push(`${node.className || node.tagName} ${ratio.toFixed(2)}: ${node.textContent.trim().slice(0, 30)}`);
  }
  return [...new Set(faint)];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(postgres: Server, template: str) -> AsyncIterator[RunningRelay]:
    """A relay on the data of the demo, after some of its traffic."""
    async with new_database(postgres, template) as database:
        connection = await database.connect()
        # What was there before the relay is not captured: rows alone, without an event for each.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute((sql_directory() / "demo" / "seed.sql").read_bytes())
        async with running_relay(settings_for(database.daemon_dsn)) as relay:
            traffic = Traffic(await database.connect(), rate=50, seed=4)
            for _ in range(300):
                await traffic.step()
            await spread(database)
            await failures(database)
            yield relay


async def spread(database: Database) -> None:
    """Let what was made in a moment have taken some minutes."""
    await database.execute(
        "UPDATE finances_purchasetransaction SET created_at = created_at - 4 * age, updated_at = updated_at - 4 * age"
        " FROM (SELECT id AS paid, (max(id) OVER () - id) * interval '1 second' AS age"
        " FROM finances_purchasetransaction WHERE created_at > now() - interval '10 minutes') AS recent"
        " WHERE id = paid"
    )


async def failures(database: Database) -> None:
    """Make the latest payments fail, so that there is something to be warned of."""
    await database.execute(
        "UPDATE finances_purchasetransaction SET payment_status = 'failed', updated_at = now(), metadata = metadata"
        " || jsonb_build_object('error_message', (ARRAY['The bank of the customer does not answer.',"
        " 'Your card was declined.'])[1 + (id % 4 = 0)::int]) WHERE id IN (SELECT id FROM"
        " finances_purchasetransaction WHERE payment_status = 'completed' AND created_at > now() - interval"
        " '10 minutes' ORDER BY id DESC LIMIT 9)"
    )


async def picture(tab: LivePage, name: str) -> int:
    """What is on the screen, as WebP: its size, and a file if files are asked for."""
    devtools = await tab.page.context.new_cdp_session(tab.page)
    shot = await devtools.send("Page.captureScreenshot", {"format": "webp", "quality": 78})
    data = base64.b64decode(shot["data"])
    if os.environ.get("RELAY_WRITE_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / name).write_bytes(data)
    return len(data)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pictures_on_a_desk_and_on_a_phone(
    chromium: playwright.async_api.Browser, served: RunningRelay, scheme: str
) -> None:
    """On both sizes, in both schemes, everything is inside of the screen and can be read, and pictures stay small."""
    sizes = []
    for where, size in (("desk", DESK), ("phone", PHONE)):
        async with tabs(chromium, served, viewport=size, color_scheme=scheme) as browser:
            tab = await browser.tab(served.token(subject="ada@example.org"))

            async def complete(tab: LivePage = tab) -> bool:
                return (
                    bool(await tab.number("total_revenue"))
                    and bool(await tab.text("#spike"))
                    and bool(await tab.text("#fraud"))
                )

            await eventually(complete)
            assert await tab.page.evaluate(STICKING_OUT) == []
            assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await tab.page.evaluate(TOO_FAINT) == []
            if (where, scheme) != ("phone", "dark"):
                sizes.append(await picture(tab, f"{where}-{scheme}.webp"))
            if where == "phone":
                await tab.page.locator("#payments").evaluate("node => scrollTo(0, node.offsetTop - 90)")
                sizes.append(await picture(tab, f"phone-list-{scheme}.webp"))
            elif scheme == "light":
                await tab.page.locator("#rows tr").first.click()
                await eventually(tab.page.locator("#detail .timeline").is_visible)
                sizes.append(await picture(tab, "history.webp"))
    assert sum(sizes) < MOST_BYTES
