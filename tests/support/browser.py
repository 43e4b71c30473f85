"""A browser for tests: keeps cookies, follows redirects, and knows what Django wants to see in a form."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

__all__ = ["Answer", "Browser"]

#: Nothing a test asks for takes this long; it only keeps a server that hangs from hanging the test.
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """What came back. ``url`` is where it came from, after redirects."""

    status: int
    text: str
    url: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


class _Refusals(urllib.request.HTTPErrorProcessor):
    """A refusal is an answer, too, and no exception."""

    def http_response(self, request: urllib.request.Request, response: HTTPResponse) -> HTTPResponse:
        return response if response.status >= 400 else super().http_response(request, response)


class Browser:
    """One person's session with the site at ``base``."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies), _Refusals()
        )

    def get(self, path: str) -> Answer:
        """GET ``path``."""
        return self._ask(path, None, {})

    def post(self, path: str, form: Mapping[str, Any] | None = None, *, body: bytes | None = None) -> Answer:
        """POST ``form``, whose values may be lists, or ``body`` as JSON."""
        headers = {}
        for cookie in self._cookies:
            if cookie.name == "csrftoken":
                headers["X-CSRFToken"] = cookie.value or ""
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._ask(path, urlencode(form or {}, doseq=True).encode() if body is None else body, headers)

    def sign_in(self, email: str, password: str) -> Browser:
        """Fill in the form at /login/."""
        self.get("/login/")
        answer = self.post("/login/", {"username": email, "password": password})
        # Where it leads may be forbidden to this person; what counts is to have left the form.
        assert "/login/" not in answer.url, answer.text
        return self

    def _ask(self, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        return self.send(urllib.request.Request(self.base + path, data=data, headers=dict(headers)))

    def send(self, request: urllib.request.Request) -> Answer:
        """Send any request, with this session's cookies."""
        with self._opener.open(request, timeout=PATIENCE_SECONDS) as response:
            return Answer(response.status, response.read().decode(), response.url)
