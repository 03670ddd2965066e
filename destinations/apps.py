"""The control plane: what destinations are and how they are set up."""

from django.apps import AppConfig


class DestinationsConfig(AppConfig):
    """Django's registration of the destinations package."""

    name = "destinations"
    default_auto_field = "django.db.models.BigAutoField"
