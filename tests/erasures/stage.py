"""What the tests of erasures share: a person of whom the hub has everything, and where their ids still stand."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from destinations.models import Destination
from tests.api_support import make_attempt, make_delivery, make_event
from webhooks.keeping.erasures.working import Erasing
from webhooks.keeping.payloads import put_body
from webhooks.models import Erasure, Event, Payload, QuarantinedRequest, Replay, Source

OLD, NEW, REFERENCE = "a11ce0ld-0000-4000-8000-00000000aaaa", "a11ce111-1111-4111-8111-11111111bbbb", "alice-in-app-77"
BOB = "b0b00000-2222-4222-8222-22222222cccc"
IDS = (OLD, NEW, REFERENCE)


def body_of(user_id: str, kind: str = "daily", reference: str = REFERENCE, pad: int = 0) -> bytes:
    """Return a body of one user."""
    user = {"user_id": user_id, "provider": "GARMIN", "reference_id": reference}
    return json.dumps({"type": kind, "user": user, "data": [], "pad": "x" * pad}).encode()


def reauth(old: str = OLD, new: str = NEW) -> bytes:
    """Return what Terra sends when a user gets a new id."""
    users = {f"{name}_user": {"user_id": one, "provider": "GARMIN", "reference_id": REFERENCE}
             for name, one in (("old", old), ("new", new))}  # fmt: skip
    return json.dumps({"type": "user_reauth", "status": "warning", **users}).encode()


def kept_event(user_id: str = NEW, *, body: bytes = b"", in_store: bool = False, **columns: Any) -> Event:
    """Write an event of a user, as intake would."""
    body = body or body_of(user_id)
    event = make_event(body=body, user_id=user_id, **{"reference_id": REFERENCE, **columns})
    if in_store:
        Payload.objects.filter(pk=event.pk).update(body=None, store_name=put_body(event.pk, body))
    return event


def everything_of_alice(source: Source, to: Destination) -> None:
    """Write something of every kind that the hub can have of a person."""
    made = {"source": source, "headers": {"x-of": OLD}}
    snapshot = {"request": {"body": f"user {NEW}"}, "response": {"text": f"unknown {REFERENCE}"}}
    for number, status in enumerate(("delivered", "dead", "pending", "pending")):
        event = kept_event(OLD if number % 2 else NEW, in_store=number == 0, **made)
        row = make_delivery(event, to, status, attempt_count=1, last_error_code="http_500")
        make_attempt(row, 1, error_detail=f"refused {NEW}", **snapshot)
    kept_event(NEW, body=reauth(), type="user_reauth", **made)
    kept_event("", body=b'{"type":"auth_cancelled","reference_id":"%b"}' % REFERENCE.encode(), **made)
    for body in (body_of(OLD), b"no json, but " + NEW.encode(), json.dumps({"x": {"user_id": REFERENCE}}).encode()):
        refused(source, body)
    refused(source, b"{}", {"x-user": NEW})
    Replay.objects.create(
        kind="matching", selection={"user_id": OLD, "type": "daily"}, status="done", created_at=event.received_at
    )


def refused(source: Source, body: bytes, headers: dict[str, str] | None = None) -> QuarantinedRequest:
    """Write a request into the quarantine."""
    row: QuarantinedRequest = QuarantinedRequest.objects.create(
        source=source, reason="signature_mismatch", headers=headers or {}, body=body, size=len(body),
        sha256=hashlib.sha256(body).hexdigest(), received_at=timezone.now(),
    )  # fmt: skip
    return row


def carried_on(erasure: Erasure, worker: str = "me", most: int = 200) -> Erasure:
    """Do what a worker does for erasures until this one has ended or waits."""
    chore = Erasing(worker)
    for _ in range(most):
        chore()
        erasure.refresh_from_db()
        if erasure.status not in ("running", "waiting"):
            break
    return erasure


# --- where ids stand -------------------------------------------------------------------------------------------------
def rows_that_name(*ids: str) -> list[str]:
    """Return the tables with a row in which one of the ids stands, in whatever column, every table looked at."""
    return sorted({table for table, text in _dump() if any(one in text for one in ids)})


def _dump() -> Iterator[tuple[str, str]]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield table, " ".join(_text(value) for value in row)


def _text(value: Any) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)


def files_that_name(folder: Path, *ids: str) -> list[Path]:
    """Return the files below a folder in which one of the ids stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(one.encode() in path.read_bytes() for one in ids)]


def payload_folder() -> Path:
    return Path(settings.PAYLOAD_DIR)
