"""The destination types that the hub knows. A new type is one line here."""

from importlib import import_module
from typing import Any

from destinations.adapters.base import Adapter

# wire name -> module:class; imported on first use, so that a driver loads only where it is needed.
_TYPES = {
    "webhook": "destinations.adapters.webhook:WebhookAdapter",
    "postgres": "destinations.adapters.postgres:PostgresAdapter",
    "mysql": "destinations.adapters.mysql:MysqlAdapter",
    "supabase": "destinations.adapters.supabase:SupabaseAdapter",
    "s3": "destinations.adapters.s3:S3Adapter",
    "gcs": "destinations.adapters.gcs:GcsAdapter",
    "azureblob": "destinations.adapters.azureblob:AzureBlobAdapter",
    "sqs": "destinations.adapters.sqs:SqsAdapter",
}


class UnknownType(LookupError):
    """No destination type has that name."""


def type_names() -> list[str]:
    """Return the wire names of every type, in the order in which people see them."""
    return list(_TYPES)


def adapter_class(type_name: str) -> type[Adapter[Any, Any]]:
    """Return the adapter class of a type; raise ``UnknownType`` with the known names."""
    if type_name not in _TYPES:
        raise UnknownType(f"Unknown destination type {type_name!r}. Known types: {', '.join(_TYPES)}.")
    module, _, name = _TYPES[type_name].partition(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]  # import_module is untyped


def adapter_classes() -> list[type[Adapter[Any, Any]]]:
    """Return every adapter class."""
    return [adapter_class(name) for name in _TYPES]


def type_choices() -> list[tuple[str, str]]:
    """Return (wire name, label) of every type."""
    return [(name, adapter_class(name).label) for name in _TYPES]
