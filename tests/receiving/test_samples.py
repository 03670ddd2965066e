"""Signed samples: taken in by the code that Terra's requests meet, and marked as the hub's own."""

import json
from typing import Any

import pytest

from destinations.signatures import terra_hmac
from destinations.terra import EVENT_TYPES
from tests.api_support import make_destination, refused
from webhooks.keeping.testevents import made_here
from webhooks.models import Delivery, Event, Payload, QuarantinedRequest, Source
from webhooks.receiving import samples
from webhooks.receiving.samples import healthcheck, marked, sample_body, send_sample
from webhooks.receiving.sources import add_signing_secret, create_source, update_source

pytestmark = pytest.mark.django_db
OLD, NEW = "the-old-secret-1", "the-new-secret-2"


@pytest.fixture
def source() -> Source:
    return create_source(slug="terra", secret=OLD)


def test_a_sample_becomes_an_event_with_its_deliveries(source: Source) -> None:
    takes, takes_not = make_destination("all"), make_destination("sleep only", event_types=["sleep"])

    event = send_sample(source)

    assert (event.type, event.source, event.user_id) == ("healthcheck", source, "")
    assert event.idempotency_key.startswith("trace:hub-sample-")
    assert event.headers["dev-id"] == event.terra_reference[:10] == "hub-sample"
    assert list(Delivery.objects.values_list("destination", flat=True)) == [takes.pk]
    assert takes_not.deliveries.count() == 0
    assert "destination hub itself" in json.loads(bytes(Payload.objects.get().body))["message"]


def test_it_is_signed_with_the_current_secret(source: Source) -> None:
    add_signing_secret(source, NEW)
    event = send_sample(source)
    stamp, _, digest = event.headers["terra-signature"].removeprefix("t=").partition(",v1=")
    assert digest == terra_hmac(NEW.encode(), stamp, bytes(Payload.objects.get().body))


def test_a_signature_that_does_not_fit_is_refused_as_terras_would_be(source: Source, monkeypatch: Any) -> None:
    monkeypatch.setattr(samples, "terra_hmac", lambda *_: "0" * 64)
    assert "signature_mismatch" in str(refused(send_sample, source).errors)
    assert not Event.objects.exists()
    assert not QuarantinedRequest.objects.exists()


def test_an_allowlist_does_not_hold_it_up(source: Source) -> None:
    update_source(source, allowlist=["18.133.218.210"], allowlist_enforced=True)
    assert send_sample(source)


def test_a_source_that_cannot_take_it_says_why(source: Source) -> None:
    assert "no signing secret" in str(refused(send_sample, create_source(slug="bare")).errors)
    update_source(source, active=False)
    assert "switched off" in str(refused(send_sample, source).errors)
    assert "invalid_payload" in str(refused(send_sample, create_source(slug="b", secret=OLD), b"[]").errors)


def test_a_sample_of_another_type_names_nobody(source: Source) -> None:
    body = marked({"type": "sleep", "user": {"user_id": "1234", "reference_id": "r", "provider": "GARMIN"}})
    event = send_sample(source, body)
    assert (event.type, event.user_id, event.reference_id, event.provider) == (
        "sleep", "hub-sample", "hub-sample", "GARMIN",
    )  # fmt: skip
    assert json.loads(healthcheck())["type"] == "healthcheck"


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_there_is_a_sample_of_every_type_that_terra_sends(source: Source, event_type: str) -> None:
    event = send_sample(source, sample_body(event_type))
    assert event.type == event_type
    assert event.user_id in ("", "hub-sample")
    assert event.reference_id in ("", "hub-sample")
    said = bytes(Payload.objects.get().body).decode()
    of_examples = ("user-42", "your-patient-123", "your-user-123", "40f7b0e1", "8dadb06f", "9c8b7a65")
    assert [name for name in of_examples if f'id": "{name}' in said] == []
    assert made_here(event)


def test_a_type_that_terra_does_not_send_has_no_sample() -> None:
    assert refused(sample_body, "../../settings").code == "unknown_event_type"


def test_a_large_sample_goes_to_the_payload_store(source: Source) -> None:
    body = marked({"type": "sleep", "data": ["x" * 100] * 2000})
    send_sample(source, body)
    assert Payload.objects.get().store_name
