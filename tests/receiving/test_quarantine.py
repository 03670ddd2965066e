"""What was refused and kept: verified again, admitted, and never more than the cap."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from destinations.services import Refused
from tests.hub import Hub, signature
from tests.receiving.support import BODY, body_of_size, check_refused, events, kept
from webhooks.keeping.payloads import read_body
from webhooks.models import REASONS, Delivery, Event, QuarantinedRequest
from webhooks.receiving.quarantine import admit, verify_again
from webhooks.receiving.refusals import Refusal, keep
from webhooks.receiving.sources import add_signing_secret, update_source

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "the-secret-that-terra-uses"


def refused(hub: Hub, body: bytes = BODY % 1, at: float | None = None) -> QuarantinedRequest:
    headers = {"terra-signature": signature(body, NEW, at=at), "terra-reference": "ref"}
    answer = hub.post(body, headers, trace="t-1")
    check_refused(answer, 400, "signature_mismatch")
    return kept(hub, "signature_mismatch")


def test_after_the_secret_is_mended_it_becomes_the_event_that_it_was(hub: Hub) -> None:
    hub.webhook("http://127.0.0.1:8099/hook")
    item = refused(hub)
    assert verify_again(item).startswith("signature_mismatch: ")
    with pytest.raises(Refused, match="signature_mismatch"):
        admit(item)
    assert not events(hub)

    add_signing_secret(hub.source, NEW)
    item = QuarantinedRequest.objects.get(pk=item.pk)
    assert verify_again(item) == ""
    event = admit(item)
    assert read_body(event.payload) == BODY % 1
    assert (event.terra_reference, event.user_id, event.received_at) == ("ref", "u-1", item.received_at)
    assert Delivery.objects.filter(event=event).count() == 1
    item = QuarantinedRequest.objects.get(pk=item.pk)
    assert (item.event_id, item.admitted_at is not None) == (event.pk, True)


def test_admitting_twice_and_terra_s_own_retry_give_no_second_event(hub: Hub) -> None:
    item = refused(hub)
    add_signing_secret(hub.source, NEW)
    item = QuarantinedRequest.objects.get(pk=item.pk)
    event = admit(item)
    assert admit(item) == event
    time.sleep(1.1)  # the server looks at a source once a second
    again = hub.post(BODY % 1, {"terra-signature": signature(BODY % 1, NEW)}, trace="t-1")
    assert again.json == {"event_id": str(event.pk), "duplicate": True}
    assert len(events(hub)) == 1


def test_its_age_is_judged_at_the_time_at_which_it_came(hub: Hub) -> None:
    item = refused(hub)
    add_signing_secret(hub.source, NEW)
    with time_machine.travel(timezone.now() + timedelta(days=5), tick=True):
        event = admit(QuarantinedRequest.objects.get(pk=item.pk))
    assert not event.stale


def test_after_the_allowlist_is_mended_it_is_admitted(hub: Hub) -> None:
    update_source(hub.source, allowlist=["203.0.113.1"], allowlist_enforced=True)
    check_refused(hub.post(BODY % 1), 403, "ip_not_allowed")
    item = kept(hub, "ip_not_allowed")
    assert verify_again(item).startswith("ip_not_allowed: ")
    update_source(hub.source, allowlist=["203.0.113.1", "127.0.0.0/8"])
    assert read_body(admit(QuarantinedRequest.objects.get(pk=item.pk)).payload) == BODY % 1


def test_a_body_that_was_not_kept_cannot_be_admitted_and_says_so(hub: Hub) -> None:
    body = body_of_size(70_000)
    item = refused(hub, body)
    add_signing_secret(hub.source, NEW)
    item = QuarantinedRequest.objects.get(pk=item.pk)
    assert verify_again(item) == "body_not_kept: Its body was not kept, so it cannot be verified: have it sent again."
    with pytest.raises(Refused, match="body_not_kept"):
        admit(item)


def test_what_is_no_payload_and_what_came_second_cannot_be_admitted(hub: Hub) -> None:
    hub.post(b"[]")
    assert "not an object" in verify_again(kept(hub, "invalid_payload"))
    QuarantinedRequest.objects.all().delete()
    hub.post(BODY % 1, trace="t")
    hub.post(BODY % 2, trace="t")
    with pytest.raises(Refused, match="the first one counts"):
        admit(kept(hub, "idempotency_conflict"))


def test_a_stale_request_whose_event_came_meanwhile_leads_to_that_event(hub: Hub) -> None:
    moment = time.time() - 3600
    item = refused(hub, at=moment)
    add_signing_secret(hub.source, NEW)
    time.sleep(1.1)
    event_id = hub.post(BODY % 1, {"terra-signature": signature(BODY % 1, NEW, at=moment)}, trace="t-2").json[
        "event_id"
    ]
    assert str(admit(QuarantinedRequest.objects.get(pk=item.pk)).pk) == event_id
    assert Event.objects.count() == 1


def test_the_cap_holds_per_source(hub: Hub, settings: Any) -> None:
    settings.QUARANTINE_ROWS_PER_SOURCE = 5
    first, hub.source = hub.source, Hub(hub.server, hub.folder).source
    for source in (first, hub.source):
        for _ in range(8):
            keep(source.pk, Refusal("signature_missing", "Nothing."), {}, b"body")
        assert QuarantinedRequest.objects.filter(source=source).count() == 5


def test_every_reason_has_a_text() -> None:
    assert all(text.endswith(".") for text in REASONS.values())
    assert len(REASONS) == 11
