"""Buying something."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from accounts.models import CustomUser
from backend.access import only
from finances import stripe_api
from finances.models import PurchaseTransaction


@dataclass(frozen=True)
class Plan:
    """Something that can be bought. The price is ours to say, never the browser's."""

    name: str
    kind: str
    price: Decimal


PLANS = {
    "trial": Plan("Trial lesson", PurchaseTransaction.Type.PACKAGE, Decimal("9.90")),
    "package-10": Plan("Ten lessons", PurchaseTransaction.Type.PACKAGE, Decimal("149.00")),
    "monthly": Plan("One month", PurchaseTransaction.Type.SUBSCRIPTION, Decimal("59.90")),
}


def start_purchase(student: CustomUser, plan: Plan, payment_method: str) -> PurchaseTransaction:
    """Take down a purchase and ask Stripe for the money. Raises CardDeclined; then there is no purchase.

    The row is inserted and updated in one transaction. Dashboards get one message, the pending purchase, when it
    commits, and nothing at all when it does not: no on_commit, no signal.
    """
    with transaction.atomic():
        purchase = PurchaseTransaction.objects.create(
            student=student,
            transaction_type=plan.kind,
            amount=plan.price,
            payment_status=PurchaseTransaction.Status.PROCESSING,
            metadata={"plan_name": plan.name, "student_name": student.name},
        )
        purchase.stripe_payment_intent_id = stripe_api.create_payment_intent(
            plan.price, payment_method, idempotency_key=f"purchase-{purchase.pk}"
        )
        purchase.payment_status = PurchaseTransaction.Status.PENDING
        purchase.save(update_fields=["stripe_payment_intent_id", "payment_status", "updated_at"])
    return purchase


@require_POST
@only(lambda user: user.is_active, "this account is closed")
def checkout(request: HttpRequest) -> HttpResponse:
    """POST ``plan``, and ``payment_method`` if it is not the usual card. 201 with the purchase, or 402."""
    plan = PLANS.get(request.POST.get("plan", ""))
    if plan is None:
        return JsonResponse({"error": f"plan is one of {', '.join(PLANS)}"}, status=400)
    try:
        purchase = start_purchase(request.user, plan, request.POST.get("payment_method", "pm_card_visa"))
    except stripe_api.CardDeclined as declined:
        return JsonResponse({"error": str(declined)}, status=402)
    return JsonResponse(
        {
            "id": purchase.pk,
            "payment_intent_id": purchase.stripe_payment_intent_id,
            "payment_status": purchase.payment_status,
            "amount": str(purchase.amount),
        },
        status=201,
    )
