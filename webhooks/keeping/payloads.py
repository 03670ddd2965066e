"""Where bodies lie: in the database up to a limit, in the payload store above it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage, storages

from webhooks.models import Payload

log = structlog.get_logger(__name__)

CHUNK_BYTES = 256 * 1024


class PayloadMissing(Exception):
    """The body of an event is not there any more."""


class DurableFileSystemStorage(FileSystemStorage):
    """Files that survive a power cut once ``save`` has returned: file and folders are synced."""

    def _save(self, name: str, content: "File[Any]") -> str:
        saved: str = super()._save(name, content)  # type: ignore[misc]  # not in the stubs
        path = Path(self.path(saved))
        _sync(path)
        for folder in [path.parent, *path.parent.parents]:
            _sync(folder)
            if folder == Path(self.location):
                break
        return saved


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _store() -> Storage:
    return storages["payloads"]


def put_body(event_id: UUID, body: bytes) -> str:
    """Write a body to the payload store; return its name there once it is on disk."""
    day = datetime.now(UTC).strftime("%Y/%m/%d")
    return _store().save(f"{day}/{event_id}.json", ContentFile(body))


def discard_body(store_name: str) -> None:
    """Delete a body that no event refers to; a failure leaves an orphan, which is only logged."""
    try:
        _store().delete(store_name)
    except OSError as error:
        log.warning("payload_not_deleted", name=store_name, error=str(error))


def read_body(payload: Payload) -> bytes:
    """Return the exact bytes of an event; raise ``PayloadMissing`` where they are gone."""
    return body_of(payload.body, payload.store_name)


def body_of(body: Any, store_name: str) -> bytes:
    """Return the bytes of a payload row's columns; raise ``PayloadMissing``."""
    if body is not None:
        return bytes(body)
    try:
        with _store().open(store_name) as file:
            return bytes(file.read())
    except (OSError, ValueError) as error:
        raise PayloadMissing(f"The payload store has no {store_name or 'body'} any more.") from error


def open_body(payload: Payload) -> Iterator[bytes]:
    """Return the exact bytes of an event in pieces; raise ``PayloadMissing`` before the first."""
    if payload.body is not None:
        return iter([bytes(payload.body)])
    try:
        file = _store().open(payload.store_name)
    except (OSError, ValueError) as error:
        raise PayloadMissing(f"The payload store has no {payload.store_name or 'body'} any more.") from error
    return file.chunks(CHUNK_BYTES)
