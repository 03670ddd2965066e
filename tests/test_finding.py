"""Finding: pages that go both ways, filters that combine, and pasted ids."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from destinations.models import Destination
from tests.api_support import make_delivery, make_destination, make_event, make_source
from webhooks.finding import scans
from webhooks.finding.anything import find_anything
from webhooks.finding.deliveries import DeliveriesWanted, deliveries_scan
from webhooks.finding.events import EventsWanted, events_scan
from webhooks.finding.moments import first_delivery_at
from webhooks.finding.scans import MOST_LOOKED_AT, Batch, Key, Scan, page_of
from webhooks.models import Delivery, DeliveryStatus, Event, QuarantinedRequest, Replay
from webhooks.receiving.intake import trace_key

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 12, 6, 0, tzinfo=UTC)


def minutes(count: int) -> datetime:
    return NOW + timedelta(minutes=count)


def walked(scan: Scan, size: int = 3) -> list[Any]:
    """Go through a list to its end, and back to its beginning; return the keys on the way there."""
    pages = [page_of(scan, size=size)]
    while pages[-1].older is not None:
        pages.append(page_of(scan, before=pages[-1].older, size=size))
        assert len(pages) < 100
    keys = [row["pk"] for page in pages for row in page.rows]
    back, page = list(pages[-1].rows), pages[-1]
    while page.newer is not None:
        page = page_of(scan, after=page.newer, size=size)
        back = [row for row in page.rows if row not in back] + back
    assert [row["pk"] for row in back] == keys
    return keys


def of_events(**wanted: Any) -> list[Any]:
    return walked(events_scan(EventsWanted(**wanted)))


def of_deliveries(**wanted: Any) -> list[Any]:
    return walked(deliveries_scan(DeliveriesWanted(**wanted)))


@pytest.fixture
def events() -> list[Event]:
    """Twelve events, a minute apart: two types, three users, two sources."""
    slugs = ("main", "other")
    return [
        make_event(
            minutes(n), type=("sleep", "daily")[n % 2], user_id=f"user-{n % 3}", reference_id=f"ref-{n % 4}",
            terra_reference="large" if n < 5 else "",
            provider=("OURA", "GARMIN")[n % 2], source=make_source(slugs[n % 5 == 0]),
        )
        for n in range(12)
    ]  # fmt: skip


def test_every_combination_of_filters_of_events_keeps_what_both_say(events: list[Event]) -> None:
    one, two = make_destination("one"), make_destination("two")
    for number, event in enumerate(events):
        make_delivery(event, (one, two)[number % 2], ("dead", "delivered", "pending")[number % 3])
    other = make_source("other").pk
    filters: dict[str, tuple[dict[str, Any], Any]] = {
        "type": ({"type": "sleep"}, lambda n: n % 2 == 0),
        "user": ({"user_id": "user-1"}, lambda n: n % 3 == 1),
        "reference": ({"reference_id": "ref-2"}, lambda n: n % 4 == 2),
        "chunks": ({"terra_reference": "large"}, lambda n: n < 5),
        "source": ({"source_id": other}, lambda n: n % 5 == 0),
        "provider": ({"provider": "garmin"}, lambda n: n % 2 == 1),
        "time": ({"since": minutes(2), "until": minutes(9)}, lambda n: 2 <= n < 9),
        "destination": ({"destination_id": one.pk}, lambda n: n % 2 == 0),
        "outcome": ({"outcome": "dead"}, lambda n: n % 3 == 0),
    }
    for first, (one_wanted, one_holds) in filters.items():
        for second, (two_wanted, two_holds) in filters.items():
            expected = [event.pk for n, event in enumerate(events) if one_holds(n) and two_holds(n)][::-1]
            assert of_events(**{**one_wanted, **two_wanted}) == expected, (first, second)


def test_destination_and_outcome_are_of_one_delivery(events: list[Event]) -> None:
    one, two = make_destination("one"), make_destination("two")
    make_delivery(events[0], one, "dead")
    make_delivery(events[0], two, "delivered")

    assert of_events(destination_id=one.pk, outcome="dead") == [events[0].pk]
    assert of_events(destination_id=one.pk, outcome="delivered") == []


def test_a_trace_id_finds_its_event_at_every_source(events: list[Event]) -> None:
    for event in (events[0], events[1]):
        Event.objects.filter(pk=event.pk).update(idempotency_key=trace_key("trace-1"))

    assert of_events(trace_id="trace-1") == [events[1].pk, events[0].pk]
    assert of_events(trace_id="trace-1", type="daily") == [events[1].pk]
    assert of_events(trace_id="trace-2") == []


@pytest.fixture
def deliveries(events: list[Event]) -> list[Delivery]:
    """Each event for two destinations: every status, some errors, some of a replay, due in odd order."""
    one, two = make_destination("one"), make_destination("two")
    replay = Replay.objects.create(kind="failed", created_at=NOW)
    made = []
    for number, event in enumerate(events):
        for destination in (one, two):
            n = len(made)
            status = ("pending", "dead", "delivered", "cancelled")[n % 4]
            made.append(
                make_delivery(
                    event, destination, status, created_at=minutes(number),
                    last_error_code=("http_500", "", "timeout")[n % 3] if n % 4 < 2 else "",
                    replay=replay if n % 5 == 0 else None,
                    next_attempt_at=minutes((n * 7) % 24 // 2) if status == "pending" else None,
                )
            )  # fmt: skip
    return made


def test_every_combination_of_filters_of_deliveries_keeps_what_both_say(deliveries: list[Delivery]) -> None:
    one = Destination.objects.get(name="one").pk
    Event.objects.filter(pk=deliveries[8].event_id).update(idempotency_key=trace_key("trace-4"))
    replay = Replay.objects.get().pk
    filters: dict[str, tuple[dict[str, Any], Any]] = {
        "destination": ({"destination_id": one}, lambda d: d.destination_id == one),
        "error": (
            {"error_code": "http_500"}, lambda d: d.last_error_code == "http_500" and d.status in ("pending", "dead"),
        ),
        "user": ({"user_id": "user-1"}, lambda d: d.event.user_id == "user-1"),
        "reference": ({"reference_id": "ref-2"}, lambda d: d.event.reference_id == "ref-2"),
        "chunks": ({"terra_reference": "large"}, lambda d: d.event.terra_reference == "large"),
        "trace": ({"trace_id": "trace-4"}, lambda d: d.event_id == deliveries[8].event_id),
        "type": ({"type": "sleep"}, lambda d: d.event.type == "sleep"),
        "event": ({"event_id": deliveries[9].event_id}, lambda d: d.event_id == deliveries[9].event_id),
        "replay": ({"replay_id": replay}, lambda d: d.replay_id == replay),
        "time": ({"since": minutes(2), "until": minutes(9)}, lambda d: minutes(2) <= d.created_at < minutes(9)),
        **{
            status: ({"status": status}, lambda d, status=status: d.status == status)
            for status in ("pending", "dead", "delivered", "cancelled")
        },
    }  # fmt: skip
    for first, (one_wanted, one_holds) in filters.items():
        for second, (two_wanted, two_holds) in filters.items():
            if first != second and {first, second} <= set(DeliveryStatus.values):
                continue  # one status can be asked for
            expected = {one.pk for one in deliveries if one_holds(one) and two_holds(one)}
            found = of_deliveries(**{**one_wanted, **two_wanted})
            assert (set(found), len(found)) == (expected, len(expected)), (first, second)


def test_what_waits_comes_in_the_order_in_which_it_is_due(deliveries: list[Delivery]) -> None:
    def due(rows: list[Delivery]) -> list[int]:
        waiting = [row for row in rows if row.status == "pending"]
        return [row.pk for row in sorted(waiting, key=lambda row: (row.next_attempt_at, row.pk))]

    one = Destination.objects.get(name="one")
    assert of_deliveries(status="pending") == due(deliveries)
    mine = [row for row in deliveries if row.destination_id == one.pk]
    assert of_deliveries(status="pending", destination_id=one.pk) == due(mine)


def test_a_users_deliveries_come_by_event_also_where_most_events_went_nowhere(events: list[Event]) -> None:
    one, two = make_destination("one"), make_destination("two")
    first, last = events[0], events[9]  # both of user-0
    late = make_delivery(last, one)
    early = [make_delivery(first, destination) for destination in (one, two)]  # made later, of an older event

    assert of_deliveries(user_id="user-0") == [late.pk, early[1].pk, early[0].pk]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_search_that_ends_unfilled_says_so_and_goes_on(
    events: list[Event], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(scans, "_STEPS", (2, 2))
    scan = events_scan(EventsWanted(user_id="user-0", type="sleep"))  # 0, 6

    page = page_of(events_scan(EventsWanted(source_id=make_source("quiet").pk)), size=size)
    assert (list(page.rows), page.stopped) == ([], (events[8].pk,))
    assert page.older == page.stopped
    assert walked(scan, size) == [events[6].pk, events[0].pk]


def test_rows_are_counted_as_far_as_a_short_search_tells(events: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    def count(most: int, **wanted: Any) -> int | None:
        monkeypatch.setattr(scans, "COUNTED_FROM", most)
        return page_of(events_scan(EventsWanted(**wanted)), size=1).count

    assert count(13, source_id=make_source("other").pk) == 3
    assert count(12, source_id=make_source("other").pk) is None  # there may be a thirteenth
    monkeypatch.setattr(scans, "CAP", 2)
    assert count(12, source_id=make_source("other").pk) == 3  # which is shown as "2+"
    make_delivery(events[0], make_destination())
    assert page_of(deliveries_scan(DeliveriesWanted(user_id="user-0"))).count == 1


def test_a_search_that_finds_nothing_looks_at_as_many_rows_as_the_page_says_and_no_more() -> None:
    looked_at: list[int] = []

    class Endless(Scan):
        def fetch(self, key: Key | None, backwards: bool, most: int) -> Batch:
            looked_at.append(most)
            return Batch([{"pk": 1}] * most, (1,))

    page = page_of(Endless((), tests=(lambda _: False,)))

    assert (page.rows, page.stopped) == ([], (1,))
    assert sum(looked_at) == MOST_LOOKED_AT == 5_000
    assert max(looked_at) <= 1_500


def test_the_first_delivery_of_a_moment_is_found_among_gaps(events: list[Event]) -> None:
    row = make_destination()
    made = [make_delivery(event, row, created_at=minutes(n)) for n, event in enumerate(events)]
    keys = [one.pk for one in made]
    Delivery.objects.filter(pk__in=[keys[3], keys[4]]).delete()

    for number, expected in enumerate([0, 1, 2, 5, 5, 5, 6, 7, 8, 9, 10, 11]):
        first = first_delivery_at(minutes(number))
        assert Delivery.objects.filter(pk__gte=first).order_by("pk")[0].pk == keys[expected], number
        assert not Delivery.objects.filter(pk__gte=first, created_at__lt=minutes(number)).exists(), number
    assert first_delivery_at(minutes(99)) > keys[11]


def test_the_first_delivery_of_none_is_beyond_all() -> None:
    assert first_delivery_at(NOW) >= 0


def test_whatever_is_pasted_is_known_by_its_id() -> None:
    event = make_event(user_id="ana", reference_id="ref-1", terra_reference="large-1")
    Event.objects.filter(pk=event.pk).update(idempotency_key=trace_key("trace-1"))
    row = make_delivery(event, make_destination("Warehouse"))
    job = Replay.objects.create(id=row.pk + 7, kind="failed", created_at=NOW)
    item = QuarantinedRequest.objects.create(source=event.source, reason="x", received_at=NOW)

    def kinds(term: Any) -> list[tuple[str, Any]]:
        return [(one.kind, one.key) for one in find_anything(str(term))]

    assert kinds(event.pk) == [("event", event.pk)]
    assert kinds(f"  {str(event.pk).upper()} ") == [("event", event.pk)]
    assert kinds(row.pk) == [("delivery", row.pk)]
    assert kinds(job.pk) == [("replay", job.pk)]
    assert kinds(row.destination_id) == [("destination", row.destination_id)]
    assert kinds(item.pk) == [("quarantine", item.pk)]
    assert kinds("ana") == [("user_id", "ana")]
    assert kinds("ref-1") == [("reference_id", "ref-1")]
    assert kinds("large-1") == [("terra_reference", "large-1")]
    assert kinds("trace-1") == [("trace_id", "trace-1")]
    assert kinds("wareh") == [("destination", row.destination_id)]
    assert kinds("main") == [("source", event.source_id)]
    for term in ("", " ", "nobody", "a\x00b", "9" * 400, "9" * 19, "-1", "٣", "%", "x" * 300):
        assert kinds(term) == [], term


def test_a_search_is_a_handful_of_queries(django_assert_max_num_queries: Any) -> None:
    make_event(user_id="ana")
    with django_assert_max_num_queries(14):
        find_anything("7")
