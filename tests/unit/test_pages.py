"""Pages are the files below two directories, and nothing else."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

import pytest

from relay.gateway.pages import Pages
from relay.resources import web_directory


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A web directory with a secret beside it."""
    for name, text in {
        "web/dashboard/index.html": "<!doctype html>",
        "web/dashboard/app.js": "// app",
        "web/dashboard/.env": "SECRET",
        "web/dashboard/.git/config.json": "SECRET",
        "web/dashboard/notes.txt": "SECRET",
        "web/client/index.js": "// client",
        "web/client/deep/list.d.ts": "// types",
        "web/other/index.html": "SECRET",
        "secret.js": "SECRET",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "web"


def test_files_are_found_by_their_exact_path(web: Path) -> None:
    """The dashboard is at the root and below its name, the client below /client/."""
    pages = Pages(web)
    assert {
        path
        for path in ("/", "/dashboard/index.html", "/dashboard/app.js", "/client/index.js")
        if pages.find(path)
    } == {
        "/",
        "/dashboard/index.html",
        "/dashboard/app.js",
        "/client/index.js",
    }
    assert pages.find("/client/deep/list.d.ts") is not None
    assert len(pages) == 6


@pytest.mark.parametrize(
    "path",
    [
        "/client/../secret.js",
        "/client/%2e%2e/secret.js",
        "/client//index.js",
        "/client/",
        "/client",
        "/../secret.js",
        "/dashboard/.env",
        "/dashboard/.git/config.json",
        "/dashboard/notes.txt",
        "/other/index.html",
        "//",
        "",
    ],
)
def test_nothing_else_is_found(web: Path, path: str) -> None:
    """Hidden files, unknown types, other directories and paths that climb are not there."""
    assert Pages(web).find(path) is None


def test_a_page_knows_its_content(web: Path) -> None:
    """A browser that has the content already gets 304, another the page with an ETag."""
    page = Pages(web).find("/client/index.js")
    assert page is not None
    full = page.response(known="", host=None)
    assert (full.status_code, full.body) == (200, b"// client")
    assert full.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert full.headers["Access-Control-Allow-Origin"] == "*"
    for known in (full.headers["ETag"], f'"x", W/{full.headers["ETag"]}'):
        again = page.response(known=known, host=None)
        assert (again.status_code, again.body) == (304, b"")
    assert page.response(known='"x"', host=None).status_code == 200


def test_the_dashboard_may_load_only_our_own(web: Path) -> None:
    """The page's policy allows our scripts and our sockets, and no inline script; a strange Host is left
    out of it."""
    page = Pages(web).find("/")
    assert page is not None
    policy = page.response(known="", host="relay.example:8765").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' ws://relay.example:8765 wss://relay.example:8765;" in policy
    assert "unsafe" not in policy
    strange = page.response(known="", host="x; script-src *").headers["Content-Security-Policy"]
    assert "script-src *" not in strange


def test_the_shipped_dashboard_keeps_its_own_policy() -> None:
    """The shipped page has no inline script or style, and every file it names is there."""
    pages = Pages(web_directory())
    page = pages.find("/")
    assert page is not None
    text = page.body.decode()
    assert "style=" not in text
    assert "onclick" not in text
    assert text.count("<script") == 1
    for name in ("dashboard/app.js", "dashboard/style.css"):
        assert f'"{name}"' in text
        assert pages.find(f"/{name}") is not None


def test_the_dashboard_asks_only_for_what_is_served() -> None:
    """Whatever its page and its modules load is among the pages, and none of it is inline, which the policy forbids."""
    pages = Pages(web_directory())
    html = page_text(pages, "/")
    assert "<style" not in html
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    asked = ["/" + name for name in re.findall(r'(?:src|href)="([^":#]+)"', html)]
    for script in asked:  # grows while it is walked: modules load modules
        if script.endswith(".js"):
            named = re.findall(r'(?:from|import) "(\.[^"]+)"', page_text(pages, script))
            found = [posixpath.normpath(posixpath.join(posixpath.dirname(script), name)) for name in named]
            asked += [name for name in found if name not in asked]
    assert len(asked) >= 20
    assert [name for name in asked if pages.find(name) is None] == []


def test_the_page_is_told_where_its_token_is_renewed(web: Path) -> None:
    """The relay serves the settings of the page; an address elsewhere, and no other, may be asked for tokens."""
    plain, other = Pages(web), Pages(web, token_url="https://app.example.org/api/relay-token/")
    for pages, url in ((plain, ""), (other, "https://app.example.org/api/relay-token/")):
        assert json.loads(page_text(pages, "/dashboard/config.json")) == {"token_url": url}
    policy = {}
    for pages in (plain, other):
        page = pages.find("/")
        assert page is not None
        policy[pages] = page.response(known="", host=None).headers["Content-Security-Policy"]
    assert "connect-src 'self';" in policy[plain]
    assert "connect-src 'self' https://app.example.org;" in policy[other]


def page_text(pages: Pages, path: str) -> str:
    """The body of a page that is there."""
    page = pages.find(path)
    assert page is not None
    return page.body.decode()
