"""Template filters of the admin's own pages; each is a function of ``destinations.shown``."""

import json
from typing import Any

from django import template

from destinations import shown
from destinations.texts import visible

register = template.Library()

register.filter("visible", visible)
register.filter("chip", shown.chip)
register.filter("icon", shown.icon)
register.filter("when", shown.when)
register.filter("when_exact", shown.when_exact)
register.filter("duration", shown.duration)
register.filter("size", shown.size)
register.filter("stranger", shown.stranger)


@register.filter
def as_json(value: Any) -> str:
    """Return a stored JSON value as indented text, with nothing invisible in it."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False))
