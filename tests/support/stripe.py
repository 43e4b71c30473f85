"""Stripe, as far as a webhook endpoint meets it: events that are made up, signed and delivered.

The signature is made as Stripe documents it, without the code that checks it in the example.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from tests.support.browser import Answer, Browser

__all__ = ["Stripe"]

_numbers = itertools.count(1)


class Stripe:
    """Delivers events to the endpoint of the site at ``base``, whose signing secret is ``secret``."""

    def __init__(self, base: str, secret: str) -> None:
        self.secret = secret
        self._url = f"{base}/api/finances/webhooks/stripe/"

    def event(self, type: str, **object: Any) -> dict[str, Any]:
        """A new event about ``object``."""
        return {
            "id": f"evt_{next(_numbers)}_{time.monotonic_ns()}",
            "object": "event",
            "type": type,
            "data": {"object": object},
        }

    def about(self, bought: Mapping[str, Any], type: str, **object: Any) -> dict[str, Any]:
        """A new event about the payment intent of a purchase."""
        cents = int(bought["amount"].replace(".", ""))
        if type.startswith("payment_intent."):
            object = {"id": bought["payment_intent_id"], "amount": cents, "amount_received": cents, **object}
        else:
            object = {"payment_intent": bought["payment_intent_id"], "amount": cents, **object}
        return self.event(type, **object)

    def deliver(self, event: Mapping[str, Any]) -> Answer:
        """Sign ``event`` and post it, as Stripe does."""
        body = json.dumps(event).encode()
        at = int(time.time())
        return self.post(body, f"t={at},v1={self.signature(body, at)}")

    def signature(self, body: bytes, at: int, secret: str | None = None) -> str:
        """HMAC-SHA256 over the time, a dot and the body, in hex."""
        signed = str(at).encode() + b"." + body
        return hmac.new((secret or self.secret).encode(), signed, hashlib.sha256).hexdigest()

    def post(self, body: bytes, header: str | None) -> Answer:
        """Post ``body`` with any Stripe-Signature header, or with none."""
        headers = {"Content-Type": "application/json"}
        if header is not None:
            headers["Stripe-Signature"] = header
        return Browser("").send(urllib.request.Request(self._url, data=body, headers=headers))
