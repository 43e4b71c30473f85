"""The app ``finances``."""

from django.apps import AppConfig


class FinancesConfig(AppConfig):
    """Tables are called finances_…"""

    name = "finances"
