"""Where bodies lie: in the database up to a limit, in the payload store above it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import structlog
from django.core.files.base import ContentFile, File
from django.core.files.storage import storages

from webhooks.keeping import storehealth
from webhooks.keeping.storehealth import PayloadStoreDown
from webhooks.keeping.stores.base import PayloadStore
from webhooks.models import Payload

__all__ = [
    "PayloadMissing", "PayloadStoreDown", "body_of", "check_store", "discard_bodies", "discard_body", "erase_body",
    "fresh_link", "open_body", "put_body", "read_body",
]  # fmt: skip

log = structlog.get_logger(__name__)

CHUNK_BYTES = 256 * 1024


class PayloadMissing(Exception):
    """The body of an event is not there any more."""


def _store() -> PayloadStore:
    return cast(PayloadStore, storages["payloads"])


def put_body(event_id: UUID, body: bytes) -> str:
    """Write a body to the payload store; return its name there once it is safe. Raise ``PayloadStoreDown``."""
    day = datetime.now(UTC).strftime("%Y/%m/%d")
    with storehealth.watched(_store().place, "payload_not_stored"):
        name = _store().save(f"{day}/{event_id}.json", ContentFile(body))
    storehealth.note_written()
    return name


def discard_body(store_name: str) -> None:
    """Delete a body that no event refers to; a failure leaves an orphan, which is only logged."""
    try:
        _store().delete(store_name)
    except OSError as error:
        log.warning("payload_not_deleted", name=store_name, error=storehealth.words(error))


def erase_body(store_name: str) -> None:
    """Delete a body for good; one that is gone already is no error. Raise ``PayloadStoreDown``."""
    with storehealth.watched(_store().place, "payload_not_erased"):
        _store().delete(store_name)


def discard_bodies(store_names: Iterable[str]) -> None:
    """Delete bodies whose rows are gone; after a failure the rest is left to the sweep of orphans."""
    for name in store_names:
        try:
            _store().delete(name)
        except OSError as error:
            log.warning("payloads_not_deleted", name=name, error=storehealth.words(error))
            return


def read_body(payload: Payload) -> bytes:
    """Return the exact bytes of an event; raise as ``body_of``."""
    return body_of(payload.body, payload.store_name)


def body_of(body: Any, store_name: str | None) -> bytes:
    """Return the bytes of a payload row's columns.

    Raise ``PayloadMissing`` where they are gone, ``PayloadStoreDown`` where they cannot be read now.
    """
    if body is not None:
        return bytes(body)
    with storehealth.watched(_store().place, "payload_not_read"), _opened(store_name) as file:
        return bytes(file.read())


def open_body(payload: Payload) -> Iterator[bytes]:
    """Return the exact bytes of an event in pieces; raise as ``body_of``, before the first."""
    if payload.body is not None:
        return iter([bytes(payload.body)])
    with storehealth.watched(_store().place, "payload_not_read"):
        return _pieces(_opened(payload.store_name))


def _opened(store_name: str | None) -> "File[bytes]":
    if not store_name:  # the payload's row is gone too
        raise PayloadMissing("The payload is no longer kept.")
    try:
        return _store().open(store_name)
    except (FileNotFoundError, ValueError) as error:  # ValueError: what is no name cannot be there
        raise PayloadMissing(f"The payload store has no {store_name} any more.") from error


def _pieces(file: "File[bytes]") -> Iterator[bytes]:
    with file:
        yield from file.chunks(CHUNK_BYTES)


def fresh_link(payload: Payload, lifetime_s: int) -> str:
    """Return a link of the store itself to a body, for so many seconds; empty: only the hub can serve it."""
    if payload.body is not None:
        return ""
    with storehealth.watched(_store().place, "payload_link_not_made"):
        return _store().fresh_link(payload.store_name, lifetime_s)


def check_store() -> str:
    """Return where large bodies lie; raise ``PayloadStoreDown`` while the store takes none.

    What this process last saw counts for a while; after that, something small is written.
    """
    storehealth.probed(_store().place, lambda: _store().probe())
    return _store().place()
