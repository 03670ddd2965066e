"""The quarantine in the admin: the reason in words, verified again, admitted."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests.admin_support import QUARANTINE, Page, Person, listed, page_of
from tests.api_support import make_destination, make_source
from tests.hub import signature
from webhooks.models import Delivery, Event, QuarantinedRequest, Source
from webhooks.receiving.sources import add_signing_secret

pytestmark = pytest.mark.django_db

BODY = b'{"type":"daily","user":{"user_id":"user-1"}}'
NEW_SECRET = "the-new-secret-of-the-source"


@pytest.fixture
def ana() -> Person:
    return Person()


def refused(body: bytes | None = BODY, secret: str = NEW_SECRET, **columns: Any) -> QuarantinedRequest:
    """Keep a request that was signed with a secret which its source did not know."""
    values = {
        "source": make_source(),
        "reason": "signature_mismatch",
        "detail": "No v1 fits.",
        "headers": {"terra-signature": signature(body or b"", secret), "x-terra-trace-id": "trace-1"},
        "remote_address": "18.133.218.210",
        "body": body,
        "size": len(body or b""),
        "sha256": hashlib.sha256(body or b"").hexdigest(),
        "received_at": datetime.now(UTC),
        **columns,
    }
    return QuarantinedRequest.objects.create(**values)


def test_list_and_page_give_the_reason_in_words(ana: Person) -> None:
    item = refused()
    words = "The signature does not fit the body: wrong secret, or a changed body."

    assert words in ana.get(QUARANTINE).text
    page = ana.look(item)
    for said in (words, "signature_mismatch", "No v1 fits.", "18.133.218.210", "x-terra-trace-id"):
        assert said in page.text
    assert "user-1" not in page.source  # a person's data shows on demand only


def test_verify_again_says_why_not_and_then_that_it_would_pass(ana: Person) -> None:
    item = refused()

    assert "It would be refused again. signature_mismatch" in ana.press(item, "verify").text
    add_signing_secret(Source.objects.get(), NEW_SECRET)
    assert "It would pass now." in ana.press(item, "verify").text
    assert not Event.objects.exists()


def test_the_main_button_is_what_comes_next(ana: Person) -> None:
    item = refused()
    add_signing_secret(Source.objects.get(), NEW_SECRET)

    def main(page: Page) -> list[str | None]:
        return [one["aria-describedby"] for one in page.find("button", **{"class": "hub-button hub-main"})]

    assert main(ana.look(item)) == ["says-verify"]
    page = ana.press(item, "verify")
    assert "Press Admit" in page.text
    assert main(page) == ["says-admit"]
    assert "Press Admit" not in Person("webhooks.view_quarantinedrequest").press(item, "verify").text


def test_crumbs_and_counts_are_in_the_words_of_people(ana: Person) -> None:
    item = refused()
    refused()

    assert "2 quarantined requests" in ana.get(QUARANTINE).text
    page = ana.look(item)
    assert f"Quarantined requests chevron_right The signature does not fit the body, {item.pk}" in page.text
    assert not page.find("a", href="/admin/webhooks/")


def test_admit_makes_an_event_with_its_deliveries(ana: Person) -> None:
    item = refused()
    make_destination()

    assert "signature_mismatch" in ana.press(item, "admit").text
    assert not Event.objects.exists()
    add_signing_secret(Source.objects.get(), NEW_SECRET)
    page = ana.press(item, "admit")

    event = Event.objects.get()
    assert str(event.pk) in page.text
    assert "Admitted." in page.text
    assert Delivery.objects.filter(event=event, status="pending").count() == 1
    again = ana.look(item)
    assert page_of(event) in again.source
    assert not again.find("form", action=page_of(item).replace("/change/", "/do/admit/"))


def test_admit_needs_its_permission() -> None:
    item = refused()
    add_signing_secret(Source.objects.get(), NEW_SECRET)
    ben = Person("webhooks.view_quarantinedrequest")

    assert "It would pass now." in ben.press(item, "verify").text
    assert ben.client.post(page_of(item).replace("/change/", "/do/admit/")).status_code == 403
    assert not Event.objects.exists()


def test_a_body_is_shown_on_demand_to_those_who_may_and_that_is_written_down(ana: Person) -> None:
    item = refused(b'\x00\xff<script>alert(1)</script>{"type":"daily"}')
    url = page_of(item).replace("/change/", "/payload/")

    page = ana.get(url)
    assert page.pre() == '\\u0000\ufffd<script>alert(1)</script>{"type":"daily"}'
    assert b"".join(ana.client.get(url + "raw/").streaming_content) == bytes(item.body or b"")  # type: ignore[attr-defined]
    assert LogEntry.objects.filter(object_id=str(item.pk)).count() == 2

    ben = Person("webhooks.view_quarantinedrequest")
    assert ben.client.get(url).status_code == 403


def test_a_body_that_was_too_large_to_keep_is_said(ana: Person) -> None:
    item = refused(None, size=90_000_000, reason="body_too_large")

    assert "too large to be kept" in ana.look(item).text
    assert ana.client.get(page_of(item).replace("/change/", "/payload/")).status_code == 404
    assert "too large to be kept" in ana.press(item, "admit").text


def test_the_list_is_filtered_by_source_reason_and_state_and_finds_an_id(ana: Person) -> None:
    item = refused()
    other = make_source("other")

    def shown(**query: str) -> set[str]:
        return listed(ana.get(QUARANTINE, **query), {"item": item})

    assert shown(source=item.source.slug) == {"item"}
    assert shown(source=other.slug) == set()
    assert shown(reason="signature_mismatch", state="kept") == {"item"}
    assert shown(reason="signature_missing", source=item.source.slug) == set()
    assert shown(state="admitted") == set()
    assert ana.client.get(QUARANTINE, {"q": str(item.pk)}).headers["Location"] == page_of(item)
