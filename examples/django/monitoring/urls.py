"""Addresses of this app."""

from django.urls import path

from monitoring import views

urlpatterns = [
    path("", views.shop, name="shop"),
    path("live/", views.live, name="live"),
    path("api/relay-token/", views.token, name="relay-token"),
]
