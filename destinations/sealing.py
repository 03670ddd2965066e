"""Sealed values of all models: sealed again under the current key, and counted where unreadable."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.apps import apps
from django.db import models, transaction

from destinations.crypto import SealError, key_id_of, key_ring
from destinations.fields import SealedField, Token


@dataclass(slots=True)
class Report:
    """What a look over every sealed value found."""

    current: int = 0  # sealed with the first key already
    older: int = 0  # sealed with a key that is not the first
    unreadable: list[str] = field(default_factory=list)  # table:row:field
    keys_in_use: set[str] = field(default_factory=set)


def sealed_fields() -> Iterator[tuple[type[models.Model], SealedField]]:
    """Return every sealed field of every model."""
    for model in apps.get_models():
        for item in model._meta.concrete_fields:
            if isinstance(item, SealedField):
                yield model, item


def unreadable(most: int) -> list[str]:
    """Return which sealed values do not open, of the newest ``most`` rows of each model: table:row:field."""
    lost = []
    for model, item in sealed_fields():
        rows = model._default_manager.exclude(**{item.attname: ""}).only("pk", item.attname).order_by("-pk")[:most]
        lost += [item.bound_to(row) for row in rows if not _opens(row, item)]
    return lost


def _opens(row: models.Model, item: SealedField) -> bool:
    try:
        getattr(row, item.attname)
    except SealError:
        return False
    return True


def rotate(write: bool) -> Report:
    """Look at every sealed value; seal older ones again under the first key if ``write``.

    Each row is its own short transaction, so that it can be stopped and run again at any time.
    """
    report = Report()
    for model, item in sealed_fields():
        for pk in model._default_manager.exclude(**{item.attname: ""}).values_list("pk", flat=True).iterator():
            _rotate_row(model, item, pk, write, report)
    return report


def _rotate_row(model: type[models.Model], item: SealedField, pk: object, write: bool, report: Report) -> None:
    with transaction.atomic():
        row = model._default_manager.select_for_update().filter(pk=pk).first()
        token = row and row.__dict__.get(item.attname)
        if row is None or not token:
            return
        try:
            key_id = key_id_of(token)
            report.keys_in_use.add(key_id)
            value = getattr(row, item.attname)
        except SealError:
            report.unreadable.append(item.bound_to(row))
            return
        if key_id == key_ring().active_key_id:
            report.current += 1
            return
        report.older += 1
        if write:
            sealed = Token(key_ring().seal(value, item.bound_to(row)))
            model._default_manager.filter(pk=pk).update(**{item.attname: sealed})
