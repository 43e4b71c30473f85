"""The static pages: the dashboard at ``/`` and the JavaScript client below ``/client/``.

All files are read into memory once, by listing the two directories; a request is looked up among them by
its exact path. There is no path to traverse. Beside the files there is ``/dashboard/config.json``, what the
relay's settings say to the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from websockets.http11 import Response

from relay import jsontext
from relay.gateway.http import answer

__all__ = ["Page", "Pages"]

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".ts": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is served. ``etag`` changes with its content; ``public``: other sites may load it too;
    ``asks``: another origin that a page may ask."""

    body: bytes
    content_type: str
    etag: str
    public: bool
    asks: str = ""

    def response(self, *, known: str, host: str | None) -> Response:
        """The page, or 304 when the browser's ``known`` (If-None-Match) names this very content."""
        headers = [("ETag", self.etag), ("Cache-Control", "no-cache"), ("Referrer-Policy", "no-referrer")]
        if self.public:
            headers.append(("Access-Control-Allow-Origin", "*"))
        if self.content_type.startswith("text/html"):
            headers.append(("Content-Security-Policy", _policy(host, self.asks)))
            headers.append(("X-Frame-Options", "DENY"))
        page = answer(200, self.body, self.content_type, headers=tuple(headers))
        if self.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            # With the header of the whole page, as RFC 9110 §15.4.5 wants it.
            return Response(304, "Not Modified", page.headers, b"")
        return page


def _policy(host: str | None, asks: str) -> str:
    """Nothing but our own files; no inline script. Older Safari does not count WebSocket as ``'self'``."""
    others = f" {asks}" if asks else ""
    sockets = f" ws://{host} wss://{host}" if host and all(c.isalnum() or c in ".-:[]" for c in host) else ""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'{sockets}{others}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Pages:
    """The files below ``web``, by the path they are served at. ``token_url``: where the dashboard gets tokens."""

    def __init__(self, web: Path, *, token_url: str = "") -> None:
        parts = urlsplit(token_url)
        asks = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        config = jsontext.encode({"token_url": token_url})
        self._pages: Mapping[str, Page] = {
            **dict(_read(web, asks)),
            "/dashboard/config.json": Page(config, _TYPES[".json"], _etag(config), public=False),
        }

    def __len__(self) -> int:
        return len(self._pages)

    def find(self, path: str) -> Page | None:
        """The page at exactly this path."""
        return self._pages.get(path)


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def _read(web: Path, asks: str) -> Iterator[tuple[str, Page]]:
    for directory, prefix, public in (("dashboard", "/dashboard/", False), ("client", "/client/", True)):
        root = web / directory
        for file in sorted(root.rglob("*")) if root.is_dir() else ():
            hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
            if not file.is_file() or hidden or (content_type := _TYPES.get(file.suffix)) is None:
                continue
            body = file.read_bytes()
            page = Page(body, content_type, _etag(body), public, asks)
            yield prefix + file.relative_to(root).as_posix(), page
            if directory == "dashboard" and file.name == "index.html" and file.parent == root:
                yield "/", page
