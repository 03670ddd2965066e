"""How the admin looks: django-unfold's settings, and its sidebar."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse, reverse_lazy

# The one accent: Tailwind's indigo (MIT), which keeps 4.5:1 on both grounds where text has it.
_ACCENT = {
    "50": "#eef2ff", "100": "#e0e7ff", "200": "#c7d2fe", "300": "#a5b4fc", "400": "#818cf8", "500": "#6366f1",
    "600": "#4f46e5", "700": "#4338ca", "800": "#3730a3", "900": "#312e81", "950": "#1e1b4b",
}  # fmt: skip

_PLACES = (
    ("e", "Events", "webhooks.view_event", "webhooks_event_changelist"),
    ("d", "Deliveries", "webhooks.view_delivery", "webhooks_delivery_changelist"),
    ("s", "Sources", "webhooks.view_source", "webhooks_source_changelist"),
    ("o", "Destinations", "destinations.view_destination", "destinations_destination_changelist"),
    ("q", "Quarantine", "webhooks.view_quarantinedrequest", "webhooks_quarantinedrequest_changelist"),
    ("r", "Replays", "webhooks.view_replay", "webhooks_replay_changelist"),
    ("k", "API keys", "destinations.view_apikey", "destinations_apikey_changelist"),
    ("u", "Users", "auth.view_user", "auth_user_changelist"),
)


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
        "COLORS": {"primary": _ACCENT},
        "STYLES": _files(
            "admin.css",
            "look.css",
            "charts.css",
            "overview.css",
            "adding.css",
            "destination.css",
            "replay.css",
            "firstrun.css",
            "live.css",
            "lists.css",
            "notices.css",
        ),
        "SCRIPTS": _files(
            "admin.js",
            "keys.js",
            "times.js",
            "overview.js",
            "paste.js",
            "fields.js",
            "presets.js",
            "live.js",
            "lists.js",
            "payload.js",
        ),
        "SIDEBAR": {"navigation": _sidebar()},
    }


def _files(*names: str) -> list[Callable[[HttpRequest], str]]:
    return [_address_of(f"hub/{name}") for name in names]


def _address_of(file: str) -> Callable[[HttpRequest], str]:
    return lambda _: static(file)  # later: the settings are not read yet


def _sidebar() -> list[dict[str, Any]]:
    return [
        {
            "title": "",
            "items": [
                {"title": "Overview", "icon": "dashboard", "link": reverse_lazy("admin:index")},
                {"title": "Health", "icon": "monitor_heart", "link": reverse_lazy("health")},
            ],
        },
        {
            "title": "Receiving",
            "items": [
                _item("Sources", "input", "webhooks", "source"),
                _item("Events", "bolt", "webhooks", "event"),
                {
                    "title": "Live",
                    "icon": "sensors",
                    "link": reverse_lazy("admin:live"),
                    "permission": _may_see("webhooks.view_event"),
                },
                _item("Quarantine", "gpp_bad", "webhooks", "quarantinedrequest"),
            ],
        },
        {
            "title": "Delivering",
            "items": [
                _item("Destinations", "output", "destinations", "destination"),
                _item("Deliveries", "local_shipping", "webhooks", "delivery"),
                _item("Replays", "replay", "webhooks", "replay"),
                _item("Notices", "notifications", "destinations", "notice"),
            ],
        },
        {
            "title": "People",
            "items": [
                _item("Users", "person", "auth", "user"),
                _item("Groups", "group", "auth", "group"),
                _item("API keys", "key", "destinations", "apikey"),
                _item("Erasures", "person_off", "webhooks", "erasure"),
                _item("Failed log-ins", "lock", "axes", "accessattempt"),
            ],
        },
    ]


def places(user: Any) -> Iterator[tuple[str, str, str]]:
    """Yield where the keyboard goes with ``g`` and a letter: the letter, the page's title and address."""
    yield "h", "Overview", reverse("admin:index")
    for key, title, permission, name in _PLACES:
        if user.has_perm(permission):
            with suppress(NoReverseMatch):
                yield key, title, reverse(f"admin:{name}")


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
