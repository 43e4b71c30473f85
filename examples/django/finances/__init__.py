"""Payments: purchases, Stripe's webhooks, refunds, disputes, fraud alerts."""
