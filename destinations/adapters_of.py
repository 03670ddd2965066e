"""Adapters of stored destinations: made from rows, and kept while their version stands."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from destinations import egress
from destinations.adapters.base import Adapter, Limits
from destinations.crypto import SealError
from destinations.identity import current_identity
from destinations.models import Destination
from destinations.registry import UnknownType, adapter_class
from destinations.specs import load


class Unusable(Exception):
    """A stored destination that no adapter can be made of; the message says why, without secrets."""


def build_adapter(destination: Destination, timeout_s: float | None = None) -> Adapter[Any, Any]:
    """Make the adapter of a stored destination, under the operator's egress policy.

    ``timeout_s`` caps the time of one try below what the row says. Opens no connection. Raises
    ``Unusable`` where the credentials do not open, or where the type or a field is not known here.
    """
    config = config_of(destination)
    kind = adapter_class(destination.type)
    try:
        credentials = _load(kind.credentials_spec, destination.credentials)
    except SealError as error:
        raise Unusable(str(error)) from error
    return make_adapter(kind, config, credentials, _limits(destination, timeout_s), str(destination.pk))


def make_adapter(
    kind: type[Adapter[Any, Any]], config: Any, credentials: Any, limits: Limits, destination_id: str = ""
) -> Adapter[Any, Any]:
    """Make an adapter that acts as this hub: under its egress policy, and with its own identity."""
    adapter = kind(config, credentials, limits, egress.current_policy())
    adapter.identity = current_identity(destination_id)
    return adapter


def config_of(destination: Destination) -> Any:
    """Return the config object of a stored destination; raise ``Unusable``."""
    try:
        return _load(adapter_class(destination.type).config_spec, destination.config)
    except UnknownType as error:
        raise Unusable(str(error)) from error


def _load(spec: type[Any], values: Mapping[str, Any]) -> Any:
    try:
        return load(spec, values)
    except TypeError as error:  # a dataclass without one of its required fields
        raise Unusable("A required field is not set. Edit the destination and fill it in.") from error


def _limits(destination: Destination, timeout_s: float | None) -> Limits:
    limits = Limits(timeout_s=destination.timeout_s, concurrency=destination.concurrency)
    return limits if timeout_s is None else replace(limits, timeout_s=min(limits.timeout_s, timeout_s))


class AdapterCache:
    """Adapters by destination and version, for a worker. Any thread may ask.

    An adapter is closed when a newer version of its destination is asked for, when it is dropped,
    and with the cache; never for room, because a lane may be using it.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._held: dict[UUID, tuple[int, Adapter[Any, Any]]] = {}

    def get(self, destination: Destination) -> Adapter[Any, Any]:
        """Return the adapter of this version of a destination; raise ``Unusable``.

        A row that was read before a change gets the newer adapter, where that is here already.
        """
        with self._lock:
            held = self._held.get(destination.pk)
            if held and held[0] >= destination.version:
                return held[1]
            adapter = build_adapter(destination)
            self._held[destination.pk] = (destination.version, adapter)
        if held:
            held[1].close()
        return adapter

    def drop(self, destination_id: UUID) -> None:
        """Close the adapter of a destination that is no longer delivered to."""
        with self._lock:
            held = self._held.pop(destination_id, None)
        if held:
            held[1].close()

    def close(self) -> None:
        """Close every adapter."""
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for _, adapter in held:
            adapter.close()
