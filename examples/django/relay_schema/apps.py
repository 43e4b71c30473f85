"""The app ``relay_schema``."""

from django.apps import AppConfig


class RelaySchemaConfig(AppConfig):
    """It has migrations only."""

    name = "relay_schema"
