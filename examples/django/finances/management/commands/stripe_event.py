"""``manage.py stripe_event``: send the running server an event as Stripe would."""

import json
import secrets
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from finances import stripe_signature
from finances.models import PurchaseTransaction

TYPES = [
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.refunded",
    "charge.dispute.created",
    "radar.early_fraud_warning.created",
]


class Command(BaseCommand):
    """Without an account at Stripe, somebody has to play its part."""

    help = "Send the running server a signed event about one purchase, as Stripe would."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command line."""
        parser.add_argument("type", choices=TYPES)
        parser.add_argument("purchase", type=int, help="its number")
        parser.add_argument("--server", default="http://127.0.0.1:8000", help="where this project runs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make up the event, sign it, send it."""
        try:
            purchase = PurchaseTransaction.objects.get(pk=options["purchase"])
        except PurchaseTransaction.DoesNotExist:
            raise CommandError(f"there is no purchase {options['purchase']}") from None
        event = {
            "id": f"evt_{secrets.token_hex(12)}",
            "type": options["type"],
            "data": {"object": _object(options["type"], purchase)},
        }
        body = json.dumps(event).encode()
        signature = stripe_signature.sign(body, settings.STRIPE_WEBHOOK_SECRET, int(time.time()))
        request = urllib.request.Request(
            options["server"] + reverse("stripe-webhook"),
            data=body,
            headers={"Content-Type": "application/json", "Stripe-Signature": signature},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                self.stdout.write(f"{answer.status} {answer.read().decode()}")
        except urllib.error.HTTPError as refused:
            raise CommandError(f"{refused.code} {refused.read().decode(errors='replace')}") from None
        except OSError as error:
            raise CommandError(f"{options['server']} does not answer: {error}") from None


def _object(type: str, purchase: PurchaseTransaction) -> dict[str, Any]:
    intent, cents = purchase.stripe_payment_intent_id, int(purchase.amount.scaleb(2))
    if type.startswith("payment_intent."):
        return {
            "id": intent,
            "amount_received": cents,
            "last_payment_error": {"message": "Your card has insufficient funds."},
        }
    about = {"id": f"x_{secrets.token_hex(12)}", "payment_intent": intent, "amount": cents}
    if type == "charge.refunded":
        return about | {"amount_refunded": cents}
    if type == "charge.dispute.created":
        due = {"due_by": int(time.time()) + 7 * 86400}
        return about | {
            "currency": "eur", "reason": "fraudulent", "status": "needs_response", "evidence_details": due,
        }  # fmt: skip
    return about | {"fraud_type": "card_never_received"}
