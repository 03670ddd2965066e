"""How many of the latest events a filter lets through: counted within bounds, told as boxes are ticked."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from destinations.models import Destination
from tests.admin_support import DESTINATIONS, Person, page_of
from tests.api_support import make_event, make_source
from tests.test_admin_destinations import HOOK
from webhooks import matching
from webhooks.matching import matching as found

pytestmark = pytest.mark.django_db

MATCHING = "/admin/webhooks/source/matching/"


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def events() -> None:
    one, other = make_source("one"), make_source("other")
    for kind in ("sleep", "sleep", "daily"):
        make_event(source=one, type=kind)
    make_event(source=other, type="sleep")


@pytest.mark.parametrize(
    ("types", "sources", "count"),
    [((), (), 4), (("sleep",), (), 3), (("sleep", "daily"), ("one",), 3), ((), ("other",), 1), (("body",), (), 0)],
)
def test_types_and_sources_are_counted_together(
    events: None, types: tuple[str, ...], sources: tuple[str, ...], count: int
) -> None:
    seen = found(types, sources)

    assert (seen.count, seen.of) == (count, 4)
    assert len(seen.samples) == min(count, 3)
    assert seen.samples == sorted(seen.samples, key=lambda event: event.id, reverse=True)
    assert seen.sentence == f"Matches {count} of the last 4 events."


def test_no_more_than_the_latest_are_read(events: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LATEST", 2)

    assert (found(("daily",), ()).count, found((), ()).of) == (1, 2)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found(("sleep",), ("one",))
    assert len(queries) <= 5
    reads = [one["sql"] for one in queries if "webhooks_event" in one["sql"]]
    assert all("LIMIT" in sql or '"id" >=' in sql for sql in reads), reads


def test_without_events_it_says_so() -> None:
    assert found((), ()).sentence == "No event has come in yet."


def test_ticked_and_typed_ones_are_told_with_three_events_that_lead_on(ana: Person, events: None) -> None:
    page = ana.post(MATCHING, event_types=["daily"], more_event_types="sleep\r\n \r\nnul\x00", sources=["one"])

    assert "Matches 3 of the last 4 events." in page.text
    assert len(page.find("a", target="_blank")) == 3
    assert "no-store" in page.headers["Cache-Control"]


def test_a_hostile_type_is_shown_as_text(ana: Person) -> None:
    make_event(type="<script>alert(1)</script>\u202e")
    page = ana.post(MATCHING)
    assert "<script>alert(1)" not in page.source
    assert "\u202e" not in page.source


def test_only_who_may_see_events_is_told() -> None:
    maker = Person("destinations.add_destination", "destinations.view_destination")
    maker.post(MATCHING, 403)
    assert not maker.get(f"{DESTINATIONS}add/?type=webhook").find("div", id="matching")
    Person().get(MATCHING, 405)


def test_saving_says_it_too_where_there_is_a_filter(ana: Person, events: None) -> None:
    form: dict[str, Any] = {**HOOK, "event_types": ["sleep"]}
    page = ana.post(f"{DESTINATIONS}add/?type=webhook", **form)
    made = Destination.objects.get()
    assert "Its filter: Matches 3 of the last 4 events." in page.text

    version = ana.look(made).value("version")
    assert "Its filter" not in ana.post(page_of(made), **{**form, "event_types": [], "version": version}).text
