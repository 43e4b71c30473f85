"""A shop window to buy from, the token, and the page that shows payments live."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from backend.access import only
from finances.checkout import PLANS
from monitoring.tokens import claims_of, mint


@require_safe
@login_required
def shop(request: HttpRequest) -> HttpResponse:
    """What can be bought."""
    return render(request, "monitoring/shop.html", {"plans": PLANS})


@require_safe
@never_cache
@only(lambda user: claims_of(user) is not None, "payments are for administrators and owners of schools")
def token(request: HttpRequest) -> HttpResponse:
    """A fresh token for whoever is signed in, when it expires, and where the relay is."""
    text, expires_at = mint(request.user, claims_of(request.user), timezone.now())
    return JsonResponse({"token": text, "expires_at": expires_at, "url": settings.RELAY_URL})


@require_safe
@login_required
def live(request: HttpRequest) -> HttpResponse:
    """Payments as they happen."""
    if claims_of(request.user) is None:
        raise PermissionDenied
    return render(request, "monitoring/live.html")
