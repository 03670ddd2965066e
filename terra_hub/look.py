"""How the admin looks: django-unfold's settings."""

from typing import Any


def unfold_settings() -> dict[str, Any]:
    """Return the UNFOLD setting."""
    return {
        "SITE_TITLE": "Terra destination hub",
        "SITE_HEADER": "Terra destination hub",
        "SITE_SYMBOL": "hub",
        "SHOW_HISTORY": True,
        "SHOW_VIEW_ON_SITE": False,
    }
