"""Addresses below /api/finances/."""

from django.urls import path

from finances.checkout import checkout
from finances.refunds import refund_view
from finances.webhooks import stripe_webhook

urlpatterns = [
    path("checkout/", checkout, name="checkout"),
    path("purchases/<int:purchase_id>/refund/", refund_view, name="refund"),
    path("webhooks/stripe/", stripe_webhook, name="stripe-webhook"),
]
