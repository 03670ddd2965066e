"""Template filters of the admin's own pages; each is a function of ``destinations.shown``."""

import json
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import resolve, reverse

from destinations import shown
from destinations.texts import visible

register = template.Library()

register.filter("visible", visible)
register.filter("chip", shown.chip)
register.filter("icon", shown.icon)
register.filter("when", shown.when)
register.filter("ago", shown.ago)
register.filter("when_exact", shown.when_exact)
register.filter("duration", shown.duration)
register.filter("size", shown.size)
register.filter("said", shown.said)
register.filter("stranger", shown.stranger)


@register.filter
def as_json(value: Any) -> str:
    """Return a stored JSON value as indented text, with nothing invisible in it."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False))


@register.filter
def may(request: HttpRequest, permission: str) -> bool:
    """Tell whether somebody has a permission; where none is named, everybody has it."""
    return not permission or request.user.has_perm(permission)


@register.filter
def admin_page(name: str) -> str:
    """Return the address of a page of the admin."""
    return reverse(f"admin:{name}")


@register.filter
def crumbs(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the way to a page without the app that it belongs to: the menu does not know it."""
    link = str(parts[0].get("link", "")) if len(parts) > 1 else ""
    return parts[1:] if link and resolve(link).url_name == "app_list" else parts
