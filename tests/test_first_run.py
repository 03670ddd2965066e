"""The first page of a new hub, and a source's page, until events come."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from terra_hub.first_run import YOUNG
from tests.admin_support import Page, Person, page_of
from tests.api_support import make_delivery, make_destination, make_event, make_source
from webhooks.models import Event, Source

pytestmark = pytest.mark.django_db
TITLE = "Four steps to the first delivery"
SOURCE, SAMPLE = "/admin/first-run/source/", "/admin/first-run/sample/"


def chips(page: Page) -> list[str]:
    """Return where each step stands."""
    steps = page.source.partition('class="hub-first-steps"')[2].partition("</ol>")[0]
    return re.findall(r"</span>([A-Z][a-z ]+)</span>", steps)


def asked(person: Person, page: Page) -> Any:
    """Ask as the page does every two seconds."""
    address = page.find("ol", **{"class": "hub-first-steps"})[0]["hx-get"]
    assert address
    return person.client.get(address)


def test_each_step_is_ticked_by_itself_until_the_first_delivery(django_assert_max_num_queries: Any) -> None:
    ana = Person()
    page = ana.get("/admin/")
    assert chips(page) == ["Next", "Then", "Then", "Then"]
    assert asked(ana, page).status_code == 204

    ana.post(SOURCE, slug="prod", name="Production", secret="from-terra-1")
    assert b"prod takes what Terra posts" in asked(ana, page).content
    page = ana.get("/admin/")
    assert "http://localhost:8000/webhooks/terra/prod" in page.text
    assert chips(page) == ["Done", "Next", "Waiting", "Then"]

    destination = make_destination()
    assert chips(ana.get("/admin/")) == ["Done", "Done", "Waiting", "Then"]
    page = ana.post(SAMPLE, source="prod", sample="healthcheck")
    assert chips(page) == ["Done", "Done", "Done", "Waiting"]
    event = Event.objects.get()
    event.deliveries.update(last_error_code="http_500", attempt_count=1, next_attempt_at=timezone.now() + timedelta(1))
    page = ana.get("/admin/")
    assert chips(page)[:3] == ["Done"] * 3
    assert "after http_500" in page.text

    event.deliveries.update(status="delivered", settled_at=timezone.now())
    finished = asked(ana, page)
    delivery = event.deliveries.get()
    for said in (
        "All four done: the first delivery was made.",
        page_of(delivery),
        page_of(destination),
        "/admin/live/",
    ):
        assert said in finished.content.decode()
    assert b"hx-get" not in finished.content  # nothing is asked for any more
    with django_assert_max_num_queries(30):
        assert TITLE not in ana.get("/admin/").text
    assert destination.deliveries.count() == 1


def test_a_sample_that_arrives_before_its_sender_is_back_is_told_of_once() -> None:
    ana = Person()
    make_source()
    make_destination()
    ana.post(SAMPLE, 302, follow=False, source="main", sample="healthcheck")
    Event.objects.get().deliveries.update(status="delivered", settled_at=timezone.now())

    assert "All four done: the first delivery was made." in ana.get("/admin/").text
    assert TITLE not in ana.get("/admin/").text


def test_a_source_that_is_refused_keeps_what_was_typed_but_the_secret() -> None:
    ana = Person()
    for typed, problem in (
        ({"slug": "Prod!", "name": "P", "secret": "from-terra-1"}, "valid"),
        ({"slug": "prod", "name": "P", "secret": "  "}, "Paste the signing secret"),
        ({"slug": "prod", "name": "P", "secret": "short"}, "at least 8 characters"),
    ):
        page = ana.post(SOURCE, **typed)
        assert problem in page.text
        assert page.value("slug") == typed["slug"]
        assert not page.value("secret")
    assert not Source.objects.exists()
    assert ana.client.get(SOURCE).status_code == 405


def test_a_hub_that_is_past_its_first_run_shows_none_of_it() -> None:
    ana = Person()
    destination = make_destination()
    for _ in range(YOUNG - 1):
        make_event()
    assert TITLE in ana.get("/admin/").text
    make_event()
    assert TITLE not in ana.get("/admin/").text
    Event.objects.order_by("pk")[0].delete()
    make_delivery(Event.objects.all()[0], destination, "delivered")
    assert TITLE not in ana.get("/admin/").text


def test_people_see_of_it_what_they_may_do() -> None:
    viewer = Person("webhooks.view_event", "webhooks.view_source", "webhooks.view_delivery")
    page = viewer.get("/admin/")
    assert TITLE in page.text
    assert not page.find("input", name="secret")
    viewer.post(SOURCE, 403, slug="prod", secret="from-terra-1")
    make_source()
    page = viewer.get("/admin/")
    assert "Send a signed sample" not in page.text
    assert not page.find("a", href="/admin/destinations/destination/add/")
    viewer.post(SAMPLE, 403, source="main")
    assert TITLE not in Person("webhooks.view_delivery").get("/admin/").text


def test_samples_of_other_types_and_of_no_source() -> None:
    ana = Person()
    make_source()
    for name in ("sleep", "daily", "activity", "body"):
        ana.post(SAMPLE, source="main", sample=name)
        assert (Event.objects.all()[0].type, Event.objects.all()[0].user_id) == (name, "hub-sample")
    ana.post(SAMPLE, source="main", sample="../../settings")
    assert Event.objects.all()[0].type == "healthcheck"
    assert "There is no such source." in ana.post(SAMPLE, source="nobody").text


def test_a_sources_page_waits_for_its_first_event_and_turns_green() -> None:
    source, ana = make_source(), Person()
    make_event(source=make_source("another"))
    page = ana.look(source)
    assert "Waiting for the first event" in page.text
    assert "payload simulator" in page.text
    address = next(one["hx-get"] for one in page.find("p") if one.get("hx-get"))
    assert ana.client.get(address).status_code == 204

    page = ana.press(source, "send_sample")
    assert f"event {Event.objects.filter(source=source).get().pk}" in page.text
    assert "Waiting for the first event" not in page.text
    assert b"The first event is here." in ana.client.get(address).content
    Person("webhooks.view_source").get(str(address), 403)
