"""Composition: settings, URLs, checks, the admin site."""

from django.apps import AppConfig


class TerraHubConfig(AppConfig):
    """Django's registration of the composing package."""

    name = "terra_hub"

    def ready(self) -> None:
        """Register the system checks."""
        from terra_hub import checks  # noqa: F401  # registers on import
