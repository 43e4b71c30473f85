"""The app ``accounts``."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Tables are called accounts_…"""

    name = "accounts"
