"""The app ``monitoring``."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """It has no tables."""

    name = "monitoring"
