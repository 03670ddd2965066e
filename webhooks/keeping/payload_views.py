"""Who saw which payload: written down before a byte of it is handed out, whoever asks and from where."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import structlog
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from destinations.services import Refused
from webhooks.keeping.payloads import PayloadMissing, PayloadStoreDown, open_body
from webhooks.keeping.retention.lives import why_gone
from webhooks.models import Event, Payload, PayloadView, QuarantinedRequest

log = structlog.get_logger(__name__)

# How somebody saw it.
VIEWED, DOWNLOADED, FETCHED = "viewed", "downloaded", "fetched"
OVER_API, ON_COMMAND_LINE = "downloaded over the API", "shown on the command line"
MOST_SHOWN = 200


def note_view(seen: Event | QuarantinedRequest, by: Any, how: str) -> None:
    """Write down that ``by`` saw the bytes of an event, or of a refused request: call it before the first byte.

    A user of the admin stands in the admin's own log; anybody else, as an API key, in ``PayloadView``.
    """
    if isinstance(by, AbstractBaseUser):
        LogEntry.objects.log_actions(str(by.pk), [seen], CHANGE, f"Payload {how}.", single_object=True)
    else:
        PayloadView.objects.create(event_id=seen.pk, viewer=str(by)[:200], how=how[:32], viewed_at=timezone.now())
    kind = f"{seen._meta.model_name}_id"
    log.info("payload_viewed", **{kind: str(seen.pk)}, user=getattr(by, "pk", None) or str(by), how=how)


def views_of(key: UUID) -> Sequence[PayloadView]:
    """Return who else than users of the admin saw the payload of an event or a refused request, the latest first."""
    return list(PayloadView.objects.filter(event_id=key).order_by("-pk")[:MOST_SHOWN])


def read_payload(event: Event, by: Any, how: str) -> Iterator[bytes]:
    """Return an event's exact bytes in pieces, the view written down; raise ``Refused`` where they cannot be had."""
    pieces = _pieces(event)
    note_view(event, by, how)
    return pieces


def _pieces(event: Event) -> Iterator[bytes]:
    payload = Payload.objects.filter(pk=event.pk).first()
    try:
        if payload is None:
            raise PayloadMissing(why_gone(event.received_at))
        return open_body(payload)
    except PayloadMissing as error:
        raise Refused({"": [str(error)]}, code="payload_gone") from error
    except PayloadStoreDown as error:
        raise Refused({"": [str(error)]}, code="payload_unavailable", hint="Try again.") from error
