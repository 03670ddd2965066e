"""While the payload store is away, the API and the admin say so; nobody is told that a payload is gone."""

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from destinations.rules import Refused
from terra_hub.payload_store import file_store
from tests.admin_support import Person
from tests.api_support import Api, make_event
from tests.hub import SECRET, signature
from tests.receiving.support import body_of_size
from webhooks.models import Event, Payload, QuarantinedRequest
from webhooks.receiving.quarantine import admit
from webhooks.receiving.sources import create_source

pytestmark = pytest.mark.django_db

LARGE = body_of_size(200_000)


@pytest.fixture
def away(settings: Any, tmp_path: Path) -> Path:
    """A payload store whose folder is not there."""
    (tmp_path / "a-file").touch()
    folder = tmp_path / "a-file" / "payloads"
    settings.STORAGES = settings.STORAGES | {"payloads": file_store(str(folder))}
    return folder


def event_in_the_store() -> Event:
    event = make_event()
    Payload.objects.filter(pk=event.pk).update(body=None, store_name="2026/11/25/x.json")
    return event


def test_the_api_answers_503(away: Path) -> None:
    problem = Api(superuser=True).get(f"events/{event_in_the_store().pk}/payload", 503)
    assert problem["code"] == "payload_unavailable"
    assert f"the folder {away}" in problem["detail"]


def test_the_admin_says_that_it_cannot_be_read_now(away: Path) -> None:
    event = event_in_the_store()
    url = reverse("admin:webhooks_event_payload", args=[event.pk])
    page = Person().client.get(url, follow=True).content.decode()
    assert "The payload cannot be read at this moment." in page
    assert "no longer kept" not in page


def test_what_is_admitted_from_quarantine_needs_the_store(away: Path) -> None:
    source = create_source(slug="prod", secret=SECRET)
    item = QuarantinedRequest.objects.create(
        source=source, reason="signature_mismatch", headers={"terra-signature": signature(LARGE)}, body=LARGE,
        size=len(LARGE), received_at=make_event().received_at,
    )  # fmt: skip
    with pytest.raises(Refused, match="The payload store"):
        admit(item)
    item.refresh_from_db()
    assert (item.admitted_at, Event.objects.filter(source=source).count()) == (None, 0)
