"""The data plane: events in, deliveries out."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Django's registration of the webhooks package."""

    name = "webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the data plane to what the control plane says and asks."""
        from webhooks.receivers import connect  # models load before this

        connect()
