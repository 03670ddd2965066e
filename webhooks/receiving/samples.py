"""Signed samples: the hub hands itself what Terra would post, so that a source can be tried before Terra knows it.

A sample is signed with the source's current secret, and judged and written by the code that Terra's own
requests meet. It is not held to the source's allowlist, on which this hub has no place. It is marked as the
hub's own: in its headers, in its body, and where it names a user.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from destinations.crypto import SealError
from destinations.services import Refused
from destinations.signatures import terra_hmac
from destinations.terra import EVENT_TYPES, SAMPLE_USER, SAMPLE_USER_BEFORE
from webhooks.keeping.payloads import discard_body
from webhooks.models import Event, Source
from webhooks.receiving.intake import ORDERING, REFERENCE, TRACE_ID, Incoming, judge, store_large_body
from webhooks.receiving.quarantine import refuse_erased, told_as_refused
from webhooks.receiving.routing import RoutingTable
from webhooks.receiving.sources import LiveSource, as_live
from webhooks.receiving.writing import Entry, write_entries

log = structlog.get_logger(__name__)

MARK = "hub-sample-"  # begins a sample's trace id and its reference
_WHO = {"user_id": SAMPLE_USER, "reference_id": SAMPLE_USER}
_USERS = {"user": _WHO, "new_user": _WHO, "old_user": {**_WHO, "user_id": SAMPLE_USER_BEFORE}}
SAMPLES = Path(__file__).parents[1] / "samples"  # a file for each type
_SAYS = "Made by the Terra destination hub itself, to try it: no data of anybody."


def send_sample(source: Source, body: bytes = b"", by: Any = None) -> Event:
    """Take in a signed sample, Terra's healthcheck unless another ``body`` is given; return its event.

    Raise ``Refused`` where the source would refuse it, with the reason.
    """
    if not source.active:
        raise Refused(
            {"": ["The source is switched off: its URL answers 404."]}, "source_disabled", "Make it active first."
        )
    live = _opened(source)
    with told_as_refused():
        entry = judge(replace(live, allowlist_enforced=False), _signed(live, body or healthcheck()), timezone.now())
        store_large_body(entry)
    event = _write(entry)
    log.info("sample_sent", source=source.slug, event_id=str(event.pk), by=str(by or ""))
    return event


def healthcheck(says: str = _SAYS) -> bytes:
    """Return a body with the shape of Terra's healthcheck, made now, that says what it is."""
    made = datetime.now(UTC).isoformat(sep=" ", timespec="microseconds")
    shape = {"type": "healthcheck", "status": "normal", "creation_timestamp": made, "trend_percentage": 0.0}
    return json.dumps({**shape, "sent_webhooks_last_hour": 0, "version": "2022-03-16", "message": says}).encode()


def sample_body(event_type: str = "healthcheck") -> bytes:
    """Return the body of a sample of any type that Terra sends, of a user who does not exist; raise ``Refused``."""
    return healthcheck() if event_type == "healthcheck" else marked(sample_of(event_type))


def sample_of(event_type: str) -> dict[str, Any]:
    """Return what Terra sends of a type, as its schema or its pages show it; raise ``Refused``."""
    if event_type not in EVENT_TYPES:
        text = f"There is no sample of {event_type!r}. Known types: {', '.join(EVENT_TYPES)}."
        raise Refused({"type": [text]}, code="unknown_event_type")
    sample: dict[str, Any] = json.loads((SAMPLES / f"{event_type}.json").read_bytes())
    return sample


def marked(sample: Mapping[str, Any]) -> bytes:
    """Return a body in which nobody real is named: neither as a user nor by a customer's own id."""
    people = {name: _nobody(sample[name], of) for name, of in _USERS.items() if name in sample}
    data = sample.get("data")
    people |= {"data": _nobody(data, {"reference_id": SAMPLE_USER})} if isinstance(data, Mapping) else {}
    own = _nobody(sample, {"reference_id": SAMPLE_USER})
    return json.dumps({**own, **people, "message": _SAYS}).encode()


def _nobody(part: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    return {name: ids.get(name, value) for name, value in part.items()}


def _opened(source: Source) -> LiveSource:
    try:
        live = as_live(source)
    except SealError as error:
        raise Refused({"": [str(error)]}) from error
    if not live.secrets:
        raise Refused({"": ["The source has no signing secret to sign with."]}, "no_signing_secret", "Paste Terra's.")
    return live


def _signed(live: LiveSource, body: bytes) -> Incoming:
    stamp, name = str(int(time.time())), MARK + secrets.token_hex(8)
    signature = f"t={stamp},v1={terra_hmac(live.secrets[0].value, stamp, body)}"
    headers = {
        "content-type": "application/json", "terra-signature": signature, TRACE_ID: name, REFERENCE: name,
        ORDERING: str(int(time.time() * 1000)), "dev-id": "hub-sample", "hook-type": "WEBHOOK",
    }  # fmt: skip
    return Incoming(headers, body, None)


def _write(entry: Entry) -> Event:
    try:
        with transaction.atomic():
            written = write_entries([entry], RoutingTable())[0]
    except BaseException:
        if entry.store_name:
            discard_body(entry.store_name)
        raise
    refuse_erased(entry, written)
    event: Event = Event.objects.get(pk=entry.id)
    return event
