"""What somebody changed of a user or a group, in words: for the history, which keeps no password."""

from collections.abc import Iterable
from typing import Any

from django.forms import BaseForm
from django.forms.models import ModelMultipleChoiceField

_SECRET = ("password", "usable_password")


def changes_in_words(form: BaseForm) -> str:
    """Return each change of a bound, valid form: ``Email address: a@b.org → c@b.org. Groups: + operator.``"""
    return " ".join(_change(form, name) for name in form.changed_data) or "Nothing was changed."


def _change(form: BaseForm, name: str) -> str:
    field = form.fields.get(name)
    label = str(field.label if field and field.label else name.replace("_", " ")).capitalize()
    if name.startswith(_SECRET) or field is None:
        return f"{label} changed."
    before, after = form.get_initial_for_field(field, name), form.cleaned_data.get(name)
    if isinstance(field, ModelMultipleChoiceField):
        return f"{label}: {_difference(field, before or (), after)}."
    return f"{label}: {_shown(before)} → {_shown(after)}."


def _difference(field: Any, before: Iterable[Any], after: Any) -> str:
    old = {row.pk: row for row in before}
    new = {row.pk: row for row in after}
    added = [f"+ {field.label_from_instance(row)}" for key, row in new.items() if key not in old]
    gone = [f"− {field.label_from_instance(row)}" for key, row in old.items() if key not in new]
    return ", ".join([*added, *gone])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in (None, "") else "empty"
