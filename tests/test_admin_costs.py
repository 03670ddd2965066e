"""Every page of the admin, found by the URL conf: few queries, and nothing large is read to its end.

A page that is added later is covered by itself; so is a filter of a list, and what pages link to.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from destinations.models import Notice
from tests import admin_pages
from tests.admin_plans import MOST_QUERIES, after_some_days, problems_of, statements
from tests.admin_support import EVENTS, Person
from tests.admin_walk import walk
from tests.api_support import make_attempt, make_delivery, make_destination, make_event, make_source
from tests.hub import on_postgres
from webhooks.models import Attempt, Delivery, Event, QuarantinedRequest

pytestmark = pytest.mark.django_db

SIZES: dict[str, Any] = {"events": 10_000, "users": 500, "destinations": 20, "attempts": 50_000, "days": 10}
# Some pages of a list and a capped count; far below the tables.
MOST_READ = 4_000


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def rows() -> Iterator[None]:
    """Fill every table that pages read: as a hub is after some days, on SQLite with a few hundred rows."""
    if not on_postgres():
        yield _a_few_hundred()
        return
    after_some_days(SIZES)
    yield


def _a_few_hundred() -> None:
    now = datetime.now(UTC)
    destinations = [make_destination(f"hook {number}") for number in range(12)]
    for number in range(60):
        event = make_event(now - timedelta(minutes=number), user_id=f"user-{number % 7}", type="daily")
        for destination in destinations[number % 3 :: 3]:
            delivery = make_delivery(event, destination, ("pending", "dead", "delivered")[number % 3])
            make_attempt(delivery, 1)
        QuarantinedRequest.objects.create(
            source=make_source(), reason="signature_missing", body=b"{}", received_at=event.received_at
        )
    for destination in destinations:
        Notice.objects.create(destination=destination, kind="failing_50", text="x", created_at=now)
    Group.objects.create(name="Team")


def test_every_page_asks_little_whatever_the_tables_hold(ana: Person, rows: None) -> None:
    ana.get("/admin/")  # content types are read once

    found = walk(ana.client, ana.user, MOST_READ)

    pages = found["pages"]
    assert {page["url"]: page["queries"] for page in pages if page["queries"] > MOST_QUERIES} == {}
    assert [(page["url"], page["problems"]) for page in pages if page["problems"]] == []
    asked = {page["name"] for page in pages if page["status"] == 200}
    for name in ("index", "webhooks_event_changelist", "webhooks_delivery_change", "destinations_destination_add"):
        assert name in asked, name
    assert "webhooks_event_changelist ?type" in asked


def test_no_url_is_forgotten() -> None:
    make_delivery(make_event(), make_destination())
    Notice.objects.create(destination=make_destination("other"), kind="x", text="x", created_at=datetime.now(UTC))
    named = {name for name, _ in admin_pages.routes()}
    found = admin_pages.bare_pages()

    assert {name.rpartition(":")[2] for name in named} == {page.name for page in found.pages} | {
        name.rpartition(":")[2] for name in found.left_out
    }
    assert not [name for name in found.left_out if name.endswith(("event_changelist", "delivery_change"))]
    assert reverse("admin:webhooks_event_changelist") in {page.url for page in found.pages}


@pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner (HUB_TEST_DATABASE=postgres)")
def test_what_no_page_may_do_is_seen(ana: Person, rows: None) -> None:
    wrong: dict[str, Callable[[], Any]] = {
        "scans webhooks_attempt": lambda: list(Attempt.objects.filter(error_detail="no index has this")[:10]),
        "rows of webhooks_event": lambda: list(Event.objects.order_by("-pk").values_list("pk")[7_000:7_050]),
        "counts without a cap": Delivery.objects.count,
    }
    for said, action in wrong.items():
        with statements() as found:
            action()
        assert said in " ".join(problems_of(found, MOST_READ))

    with statements() as found:
        ana.get(EVENTS)
    assert found
    assert problems_of(found, MOST_READ) == []
