"""Places in a long list as text: what an address, or a cursor, says of where a page goes on."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

from webhooks.finding.scans import Key

_SEPARATOR = "~"  # between the parts of a place; none of them has it


def place_of(key: Key) -> str:
    """Return the text of a place."""
    return _SEPARATOR.join(_text(part) for part in key)


def _text(part: Any) -> str:
    return part.astimezone(UTC).isoformat() if isinstance(part, datetime) else str(part)


def key_at(text: str, model: type[Model], columns: Sequence[str]) -> Key:
    """Return the place that a text names in a list that is ordered by these columns; raise ``ValueError``."""
    fields: Any = [model._meta.pk if column == "pk" else model._meta.get_field(column) for column in columns]
    parts = text.split(_SEPARATOR)
    if len(parts) != len(fields):
        raise ValueError(text)
    return tuple(map(_value, fields, parts))


def _value(field: Any, text: str) -> Any:
    try:
        value = getattr(field, "target_field", field).to_python(text)
        value = value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value
    except (ValidationError, OverflowError) as error:
        raise ValueError(text) from error
    naive = isinstance(value, datetime) and value.tzinfo is None
    if value is None or naive or (isinstance(value, int) and abs(value) >= 2**63):
        raise ValueError(text)
    return value
