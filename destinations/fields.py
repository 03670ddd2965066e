"""Model fields of the hub's own."""

from typing import Any

from django.db import models

from destinations.crypto import as_secret, key_ring


class Token(str):
    """A sealed value as it lies in the database."""


class SealedAttribute:
    """Opens a sealed value when it is read, and keeps a new one until the row is saved."""

    def __init__(self, field: "SealedField") -> None:
        """Serve ``field`` of a model's instances."""
        self.field = field

    def __get__(self, instance: models.Model | None, owner: type) -> Any:
        """Return the opened value; raise ``SealError`` where it does not open."""
        if instance is None:
            return self
        if self.field.attname not in instance.__dict__:  # left out by only() or defer()
            instance.refresh_from_db(fields=[self.field.attname])
        value = instance.__dict__[self.field.attname]
        if not isinstance(value, Token):
            return value
        if not value:
            return as_secret({})
        return as_secret(key_ring().open(value, self.field.bound_to(instance)))

    def __set__(self, instance: models.Model, value: Any) -> None:
        """Take a token from the database, or a new value that the next save seals."""
        instance.__dict__[self.field.attname] = value if isinstance(value, Token) else as_secret(value)


class SealedField(models.TextField):  # type: ignore[type-arg]  # generic in the stubs only
    """A JSON-able value, sealed at rest and bound to its row and field.

    The row's primary key must be known before it is saved (the hub's are UUIDs).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a field that no form and no serializer shows."""
        kwargs["editable"] = False
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", dict)
        super().__init__(*args, **kwargs)

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        """Put the opening attribute on the model."""
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, self.attname, SealedAttribute(self))

    def bound_to(self, instance: models.Model) -> str:
        """Return the associated data: table, row and field."""
        return f"{instance._meta.db_table}:{instance.pk}:{self.attname}"

    def from_db_value(self, value: str | None, *_: Any) -> Token:
        """Mark what comes from the database as sealed."""
        return Token(value or "")

    def pre_save(self, model_instance: models.Model, add: bool) -> Token:
        """Seal a new value; hand on one that was not touched."""
        value = model_instance.__dict__.get(self.attname, {})
        if isinstance(value, Token):
            return value
        token = Token(key_ring().seal(value, self.bound_to(model_instance)) if value else "")
        model_instance.__dict__[self.attname] = token
        return token

    def get_prep_value(self, value: Any) -> str:
        """Return the token; refuse a clear value, which has no row to be bound to."""
        if not isinstance(value, Token) and value:
            raise TypeError(f"{self.name} is sealed per row: set it on an instance and save that.")
        return str(value or "")
