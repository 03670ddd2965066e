"""Whatever a sender writes is text: no tag, no script, no turned line, no page that breaks."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpResponse

from destinations.models import Destination
from destinations.texts import visible
from tests.admin_support import DELIVERIES, EVENTS, QUARANTINE, Page, Person
from tests.api_support import make_attempt, make_delivery, make_destination, make_event, make_source
from webhooks.models import QuarantinedRequest

pytestmark = pytest.mark.django_db

NAUGHTY = [
    "<x-evil onclick=alert(1)>",
    "</pre></td></table><x-evil>",
    "\"><x-evil src='",
    "{{ 7|add:7 }}{% load hub %}",
    "javascript:alert(1)",
    "\u202emoc.elgoog//:sptth\u2066",
    "\x01\x02\x1b[31m\x7f\x9f",
    "\ufffd\ufffdNUL was here",
    "Ω≈ç√∫˜µ≤≥÷ 社會科學院 ‏السطور 🏳0🌈️",
    "${constructor.constructor('alert(1)')()}",
    "=1+1|cmd'/c calc'!A0",
    "x" * 5000,
]


@pytest.fixture
def ana() -> Person:
    return Person()


def check(page: Page, text: str, shown: bool = True) -> None:
    """Check that ``text`` can be read on the page as it is, and made nothing else of it."""
    assert page.status == 200
    assert not page.find("x-evil")
    assert not [attrs for _, attrs in page.tags if "onclick" in attrs and "alert" in (attrs["onclick"] or "")]
    read = page.text + "".join(str(attrs.get("title", "")) for _, attrs in page.tags)
    assert not set("\u202e\u2066\x01\x1b\x7f\x9f") & set(read)
    assert not shown or " ".join(visible(text).split())[:30] in page.text
    assert not [tag for tag, attrs in page.tags if tag == "script" and not (attrs.get("src") or "").startswith("/")]


@pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
def test_what_an_event_says_of_itself_is_text(ana: Person, text: str) -> None:
    values: dict[str, Any] = {"user_id": text[:255], "reference_id": text[:255], "provider": text[:64]}
    event = make_event(
        type=text[:64], terra_reference=text[:255], headers={text[:100]: text}, body=text.encode(), **values
    )

    check(ana.look(event), text)
    check(ana.get(EVENTS), text)
    check(ana.get(f"{EVENTS}{event.pk}/payload/"), text)
    check(ana.get(f"{EVENTS}{event.pk}/history/"), text, shown=False)
    check(ana.get("/admin/destinations/destination/add/?type=webhook"), text, shown=False)  # offered only if it is one


@pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
def test_what_a_receiver_answers_is_text(ana: Person, text: str) -> None:
    row = make_delivery(
        make_event(), make_destination(), "dead", last_error_code=text[:64], settled_at=datetime.now(UTC)
    )
    said: dict[str, Any] = {"error_detail": text, "hint": text, "response": {"body": text, text: [text]}}
    make_attempt(row, 1, error_code=text[:64], worker=text[:64], **said)

    check(ana.look(row), text)
    check(ana.get(DELIVERIES), text)


@pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
def test_what_a_refused_request_carried_is_text(ana: Person, text: str) -> None:
    item = QuarantinedRequest.objects.create(
        source=make_source(), reason=text[:64], detail=text, remote_address=text[:64], headers={text[:100]: text},
        body=text.encode(), received_at=datetime.now(UTC),
    )  # fmt: skip

    check(ana.look(item), text)
    check(ana.get(QUARANTINE), text)
    check(ana.get(f"{QUARANTINE}{item.pk}/payload/"), text)


@pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
def test_what_a_check_was_told_is_text(ana: Person, text: str) -> None:
    row = make_destination()
    step = {"name": text[:40], "status": "failed", "detail": text, "hint": text, "duration_ms": 1}
    Destination.objects.filter(pk=row.pk).update(
        check_steps=[step], check_passed=False, checked_at=datetime.now(UTC), disabled_reason=text[:200]
    )

    check(ana.look(row), text)


@pytest.mark.parametrize("url", ["/admin/", EVENTS, DELIVERIES])
def test_pages_send_the_policy_that_keeps_scripts_out(ana: Person, url: str) -> None:
    response: HttpResponse = ana.client.get(url)

    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "default-src 'none'" in policy
    page = Page(response)
    assert not [attrs for tag, attrs in page.tags if tag == "script" and not attrs.get("src")]
    handlers = [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert handlers == []


@pytest.mark.databaseless
def test_visible_text_keeps_what_people_write() -> None:
    kept = "Zoë\t社會\n👩‍🔬 naïve"
    assert visible(kept) == kept
    assert visible("a\x00b\u202ec\ufeff") == "a\\u0000b\\u202ec\\ufeff"
