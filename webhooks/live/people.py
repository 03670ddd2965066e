"""Who may look at the live tail: by the cookie of the admin's session, as often as asked."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie


@dataclass(frozen=True, slots=True)
class Watcher:
    """Somebody who may look at events, and perhaps at deliveries."""

    user_id: Any
    deliveries: bool


def watcher_of(cookies: str) -> Watcher | None:
    """Return who sends these cookies, if that is somebody who may look; it asks the database."""
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    request.user = get_user(request)
    return as_watcher(request)


def as_watcher(request: HttpRequest) -> Watcher | None:
    """Return who makes a request, if that is somebody who may look."""
    user = request.user
    if not (admin.site.has_permission(request) and user.has_perm("webhooks.view_event")):
        return None
    return Watcher(user.pk, user.has_perm("webhooks.view_delivery"))
