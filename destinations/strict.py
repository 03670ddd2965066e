"""Bodies of requests are read as they are written: nothing in them is ignored, and nothing is turned into another kind.

A number that stands where a text belongs is a mistake of the caller's, which would show up much later otherwise.
"""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django_filters.filters import Filter
from rest_framework import serializers

# Field -> what JSON has to hold there, and how that is called. The first one that fits counts.
_KINDS: tuple[tuple[type[Any], tuple[type, ...], str], ...] = (
    (serializers.BooleanField, (bool,), "true or false"),
    (serializers.IntegerField, (int, float), "a number"),
    (serializers.FloatField, (int, float), "a number"),
    (serializers.CharField, (str,), "a text"),
    (serializers.UUIDField, (str,), "a text"),
    (serializers.DateTimeField, (str,), "a text"),
    (serializers.ChoiceField, (str,), "a text"),
)


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses the fields that it would ignore, and values of another kind."""

    def to_internal_value(self, data: Any) -> Any:
        """Return validated values; name each field that is not known, read-only, or of another kind."""
        if isinstance(data, Mapping):
            known = {name: field for name, field in self.fields.items() if not field.read_only}
            errors: dict[str, Any] = {name: [_unknown(list(known))] for name in data if name not in known}
            if not isinstance(data, QueryDict):  # parameters are all texts
                judged = {name: _kind_error(field, data[name]) for name, field in known.items() if name in data}
                errors |= {name: error for name, error in judged.items() if error}
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)


def _kind_error(field: Any, value: Any) -> Any:
    """Return what is wrong with a value's kind; of a list, per item. Null is the field's own matter."""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        judged = {str(place): _kind_error(field.child, item) for place, item in enumerate(value)}
        return {place: error for place, error in judged.items() if error}
    wanted = next(((kinds, words) for of, kinds, words in _KINDS if isinstance(field, of)), None)
    if wanted is None or value is None:
        return None
    kinds, words = wanted
    right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    return None if right else [f"Must be {words}."]


def _unknown(known: list[str]) -> str:
    return f"Unknown or read-only field. Known fields: {', '.join(known)}."


class _YesOrNoField(forms.Field):
    def clean(self, value: Any) -> bool | None:
        """Return the answer; ``None`` where the parameter was not sent."""
        if value not in (None, "true", "false"):
            raise forms.ValidationError("Must be true or false.")
        return None if value is None else value == "true"


class YesOrNo(Filter):
    """A filter that is true or false. The library's own one takes any other text for no filter at all."""

    field_class = _YesOrNoField
