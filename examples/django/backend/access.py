"""Who may call a view that answers with JSON: a decorator that says 401 or 403 instead of redirecting to a page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

View = Callable[..., HttpResponse]


def only(allowed: Callable[[Any], bool], why: str) -> Callable[[View], View]:
    """Let in users for whom ``allowed`` holds. 401: nobody is signed in; 403 with ``why``: the wrong person is."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return JsonResponse({"error": "sign in first"}, status=401)
            if not allowed(request.user):
                return JsonResponse({"error": why}, status=403)
            return view(request, *args, **kwargs)

        return guarded

    return decorate
