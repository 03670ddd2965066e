"""A hub with one of everything, under the ids that the schema's examples have."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from destinations.access.keys import make_key
from destinations.models import ApiKey, Destination
from destinations.services import create_destination
from tests.api_support import make_attempt, make_delivery
from tests.hub import signature
from webhooks.api import examples
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.tombstones import mark_users
from webhooks.models import (
    Delivery,
    Erasure,
    ErasureStatus,
    Event,
    Payload,
    QuarantinedRequest,
    Replay,
    ReplayKind,
    ReplayStatus,
    Source,
)
from webhooks.receiving.sources import create_source

SECRET = "source-secret-of-the-scene"
REFUSED = b'{"type":"sleep","user":{"user_id":"0f9e7c1a"}}'
BODY = b'{"type":"daily","user":{"user_id":"0f9e7c1a"}}'


def make_scene() -> None:
    """Make one row of each resource."""
    source = create_source(slug=examples.IDS["sources"], secret=SECRET)
    made = create_destination(
        id=examples.IDS["destinations"], type="webhook", name="Clinic", sources=[source.slug],
        config={"url": "http://127.0.0.1:18999/clinic"}, credentials={},
    )  # fmt: skip
    event = _event(source)
    delivery = make_delivery(
        event, made.destination, "dead", id=int(examples.IDS["deliveries"]), attempt_count=1, last_error_code="http_500"
    )
    make_attempt(delivery, 1, id=int(examples.IDS["attempts"]), status_code=500, hint="The receiver failed.")
    _replay(made.destination)
    _refused(source)
    _erasure()
    key = make_key(name="dashboard", scopes=["events:read"], sources=[source.slug]).row
    ApiKey.objects.filter(pk=key.pk).update(id=examples.IDS["api-keys"])


def _event(source: Source) -> Event:
    event: Event = Event.objects.create(
        id=examples.IDS["events"], source=source, type="daily", provider="GARMIN", idempotency_key="scene",
        user_id="0f9e7c1a", reference_id="ana", size=len(BODY), received_at=timezone.now(),
    )  # fmt: skip
    Payload.objects.create(event=event, body=BODY, sha256=hashlib.sha256(BODY).digest())
    return event


def _refused(source: Source) -> None:
    """Make a refused request that would pass now."""
    QuarantinedRequest.objects.create(
        id=examples.IDS["quarantine"], source=source, reason="signature_mismatch", detail="No v1 fits.",
        headers={"terra-signature": signature(REFUSED, SECRET), "x-terra-trace-id": "trace-of-the-scene"},
        body=REFUSED, size=len(REFUSED), sha256=hashlib.sha256(REFUSED).hexdigest(), received_at=timezone.now(),
    )  # fmt: skip


def _erasure() -> None:
    later = timezone.now() + timedelta(days=7)
    row = jobs.start(user_ids=["somebody-else"], starts_at=later)
    Erasure.objects.filter(pk=row.pk).delete()
    row.pk = UUID(examples.IDS["erasures"])
    row.subject = {"user_ids": ["somebody-else"], "reference_ids": []}
    row.save(force_insert=True)


def _done() -> None:
    mark_users(Erasure.objects.get(), ["somebody-else"])
    Erasure.objects.update(status=ErasureStatus.DONE)


# Operation -> what has to be so that it can be done.
BEFORE: dict[str, Callable[[], Any]] = {
    "replays_resume_create": lambda: Replay.objects.update(status=ReplayStatus.PAUSED),
    "deliveries_cancel_create": lambda: Delivery.objects.update(status="pending", next_attempt_at=timezone.now()),
    "erasures_resume_create": lambda: Erasure.objects.update(status=ErasureStatus.STOPPED),
    "erasures_lift_create": _done,
}


def _replay(destination: Destination) -> Replay:
    row: Replay = Replay.objects.create(
        id=examples.IDS["replays"], kind=ReplayKind.MISSING, selection={}, estimate=40, created_by="ana",
        destination_ids=[str(destination.pk)], created_at=timezone.now(), measured_from=timezone.now(),
    )  # fmt: skip
    return row
