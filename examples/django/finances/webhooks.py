"""Where Stripe's events arrive: each is taken down first, then applied exactly once.

The log row goes through three commits: received, processing, and then its end together with what the event changes, so
that the log and the payment never tell different stories, in the database or on a dashboard.
"""

import json
import logging
import time

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from finances import events, stripe_signature
from finances.models import WebhookEventLog

Status = WebhookEventLog.Status
MAX_ATTEMPTS = 5

logger = logging.getLogger(__name__)


@csrf_exempt  # the signature says who is asking; there is no cookie and no form
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Take in one event. 200: no need to send it again; 503: please do; 400: it is not Stripe's."""
    try:
        stripe_signature.verify(
            request.body,
            request.headers.get("Stripe-Signature", ""),
            settings.STRIPE_WEBHOOK_SECRET,
            time.time(),
        )
        event = json.loads(request.body)
        event_id, event_type = str(event["id"]), str(event["type"])
    except stripe_signature.SignatureError as error:
        return JsonResponse({"error": str(error)}, status=400)
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"error": "this is no event"}, status=400)
    log, _ = WebhookEventLog.objects.get_or_create(
        stripe_event_id=event_id, defaults={"event_type": event_type, "payload": event}
    )
    status = process(log.pk)
    return JsonResponse({"status": status}, status=503 if status == Status.RETRYING else 200)


def process(pk: int) -> str:
    """Apply the event of one log row unless that is done, and return how it ended."""
    with transaction.atomic():
        log = _locked(pk)
        if log.status == Status.PROCESSED:
            return log.status
        log.status = Status.PROCESSING
        log.save(update_fields=["status", "updated_at"])
    try:
        with transaction.atomic():
            log = _locked(pk)
            if (
                log.status != Status.PROCESSED
            ):  # else the same event came twice at once, and the other was quicker
                events.apply(log.payload)
                _end(log, Status.PROCESSED)
    except events.Unprocessable as error:
        return _failed(pk, str(error), final=True)
    except events.NotYet as error:
        return _failed(pk, str(error))
    except Exception as error:
        logger.exception("webhook event of log row %s failed", pk)
        # The name alone: the text of a database error can hold values of the row.
        return _failed(pk, type(error).__name__)
    return log.status


def _failed(pk: int, message: str, *, final: bool = False) -> str:
    with transaction.atomic():
        log = _locked(pk)
        if log.status != Status.PROCESSED:
            log.retry_count += 1
            final = final or log.retry_count >= MAX_ATTEMPTS
            _end(log, Status.FAILED if final else Status.RETRYING, message)
    return log.status


def _end(log: WebhookEventLog, status: str, message: str = "") -> None:
    log.status, log.error_message, log.processed_at = status, message, timezone.now()
    log.save(update_fields=["status", "error_message", "processed_at", "retry_count", "updated_at"])


def _locked(pk: int) -> WebhookEventLog:
    return WebhookEventLog.objects.select_for_update().get(pk=pk)
