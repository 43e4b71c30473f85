"""Giving money back."""

import json
from decimal import Decimal, InvalidOperation

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from backend.access import only
from finances import stripe_api
from finances.models import PurchaseTransaction


class RefundRefused(Exception):
    """There is nothing to give back, or not as much."""


def refund(purchase_id: int, amount: Decimal | None = None) -> PurchaseTransaction:
    """Give back ``amount`` euros, or all that is left. Raises RefundRefused, and PurchaseTransaction.DoesNotExist.

    A partial refund leaves the purchase completed. The row stays locked while Stripe is asked, so that two clicks
    cannot give back the same money twice; the key says the same to Stripe if our commit is what fails.
    """
    with transaction.atomic():
        purchase = PurchaseTransaction.objects.select_for_update().get(pk=purchase_id)
        left = purchase.amount - purchase.refunded_amount
        if amount is None:
            amount = left
        if purchase.payment_status != PurchaseTransaction.Status.COMPLETED:
            raise RefundRefused(f"a {purchase.payment_status} purchase cannot be refunded")
        if not 0 < amount <= left:
            raise RefundRefused(f"{left} can be refunded, and not {amount}")
        total = purchase.refunded_amount + amount
        reference = stripe_api.create_refund(
            purchase.stripe_payment_intent_id, amount, idempotency_key=f"refund-{purchase.pk}-{total}"
        )
        purchase.metadata.setdefault("refunds", []).append(
            {"stripe_refund_id": reference, "amount": f"{amount:.2f}", "at": timezone.now().isoformat()}
        )
        purchase.note_refund(total)
        purchase.save(update_fields=["payment_status", "metadata", "updated_at"])
    return purchase


def _euros(text: str) -> Decimal:
    amount = Decimal(text)
    if not amount.is_finite() or amount != round(amount, 2):
        raise ValueError(f"{text} is no amount of euros and cents")
    return amount


@require_POST
@only(lambda user: user.is_staff, "only staff may give money back")
def refund_view(request: HttpRequest, purchase_id: int) -> HttpResponse:
    """POST a JSON object with ``amount``, a string of euros, or an empty body for all of it."""
    try:
        wanted = json.loads(request.body)["amount"] if request.body else None
        amount = None if wanted is None else _euros(wanted)
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return JsonResponse({"error": 'send {"amount": "12.50"}, or nothing for all of it'}, status=400)
    try:
        purchase = refund(purchase_id, amount)
    except PurchaseTransaction.DoesNotExist:
        return JsonResponse({"error": f"there is no purchase {purchase_id}"}, status=404)
    except RefundRefused as refused:
        return JsonResponse({"error": str(refused)}, status=409)
    return JsonResponse(
        {"payment_status": purchase.payment_status, "refunded_amount": f"{purchase.refunded_amount:.2f}"}
    )
