"""A stand-in for Stripe's API, so that this project runs without an account: it makes up ids.

In earnest these are ``stripe.PaymentIntent.create`` and ``stripe.Refund.create`` with the same idempotency keys.
"""

import secrets
from decimal import Decimal

#: Stripe's own name of a test card that is always declined.
DECLINED_CARD = "pm_card_chargeDeclined"


class CardDeclined(Exception):
    """The bank says no."""


def create_payment_intent(amount: Decimal, payment_method: str, *, idempotency_key: str) -> str:
    """The id of a new payment intent over ``amount`` euros."""
    if payment_method == DECLINED_CARD:
        raise CardDeclined("Your card was declined.")
    return f"pi_{secrets.token_hex(12)}"


def create_refund(payment_intent_id: str, amount: Decimal, *, idempotency_key: str) -> str:
    """The id of a new refund of ``amount`` euros."""
    return f"re_{secrets.token_hex(12)}"
