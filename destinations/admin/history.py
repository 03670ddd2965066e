"""What was changed of a destination or a source, in words: for the list of its history."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Model
from simple_history.template_utils import HistoricalRecordContextHelper

from destinations.shown import NOTHING, exact

MOST = 300  # characters of a value
_SILENT = ("version", "updated_at", "deleted_at")  # they change with every change, and say nothing of it
_MISSING = object()


class Changes(HistoricalRecordContextHelper):
    """Says each change by its field, and of a set-up by the field of the set-up."""

    def context_for_delta_changes(self, delta: Any) -> list[dict[str, str]]:
        """Return field, old and new value of each change."""
        return [
            {"field": label, "old": shown(old), "new": shown(new)}
            for change in delta.changes
            if change.field not in _SILENT
            for label, old, new in _parts(self.model, change)
        ]


def _parts(model: type[Model], change: Any) -> Iterator[tuple[str, Any, Any]]:
    label = str(model._meta.get_field(change.field).verbose_name).capitalize()  # type: ignore[union-attr]  # a column
    old, new = change.old, change.new
    if not (isinstance(old, dict) and isinstance(new, dict)):
        yield label, old, new
        return
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, _MISSING), new.get(name, _MISSING)
        if before != after:
            yield f"{label}, {name.replace('_', ' ')}", before, after


def shown(value: Any) -> str:
    """Return a value as people write it."""
    if value is _MISSING or value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return shown(", ".join(map(str, value)))
    text = exact(value) if hasattr(value, "astimezone") else str(value)
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
