"""How the admin looks: django-unfold's settings, and its sidebar."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def unfold_settings() -> dict[str, Any]:
    """Return the UNFOLD setting."""
    return {
        "SITE_TITLE": "Terra destination hub",
        "SITE_HEADER": "Terra destination hub",
        "SITE_SYMBOL": "hub",
        "SITE_URL": None,
        "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("hub/icon.svg")}],
        "SHOW_HISTORY": True,
        "SHOW_VIEW_ON_SITE": False,
        "STYLES": [lambda _: static("hub/admin.css")],
        "SCRIPTS": [lambda _: static("hub/admin.js")],
        "SIDEBAR": {"navigation": _sidebar()},
    }


def _sidebar() -> list[dict[str, Any]]:
    return [
        {"title": "", "items": [{"title": "Overview", "icon": "dashboard", "link": reverse_lazy("admin:index")}]},
        {
            "title": "Receiving",
            "items": [
                _item("Sources", "input", "webhooks", "source"),
                _item("Events", "bolt", "webhooks", "event"),
                _item("Quarantine", "gpp_bad", "webhooks", "quarantinedrequest"),
            ],
        },
        {
            "title": "Delivering",
            "items": [
                _item("Destinations", "output", "destinations", "destination"),
                _item("Deliveries", "local_shipping", "webhooks", "delivery"),
            ],
        },
        {
            "title": "People",
            "items": [
                _item("Users", "person", "auth", "user"),
                _item("Groups", "group", "auth", "group"),
                _item("Failed log-ins", "lock", "axes", "accessattempt"),
            ],
        },
    ]


def _item(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may_see(f"{app}.view_{model}"),
    }


def _may_see(permission: str) -> Callable[[HttpRequest], bool]:
    def allowed(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return allowed
