"""Deliveries and events over the API: what is shown of them, and sending them again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction

from destinations.services import delete_destination, disable, pause
from tests.api_support import (
    Api,
    at_once,
    in_a_thread,
    make_attempt,
    make_delivery,
    make_destination,
    make_event,
    make_source,
    messages,
)
from webhooks.delivering import outbox
from webhooks.keeping.replay import resend, resend_event
from webhooks.models import Attempt, Delivery, Payload

pytestmark = pytest.mark.django_db

NOBODY = "01a20a6f-c2ec-7047-87b3-6cff4e9b9dc4"


@pytest.fixture
def api() -> Api:
    return Api("webhooks.view_event", "webhooks.view_delivery", "webhooks.resend_delivery", "webhooks.view_payload")


def is_due(delivery: Delivery) -> bool:
    delivery.refresh_from_db()
    return delivery.status == "pending" and delivery.next_attempt_at <= datetime.now(UTC) and not delivery.claimed_by


# --- looking --------------------------------------------------------------------------------------
def test_an_event_shows_its_headers_and_its_deliveries_and_not_its_payload(api: Api) -> None:
    event = make_event(body=b'{"type":"daily","heart":"CANARY-PHI"}', headers={"dev-id": "dev"}, user_id="ana")
    delivery = make_delivery(event, make_destination(), "dead", last_error_code="http_500")

    shown = api.get(f"events/{event.pk}")

    assert shown["headers"] == {"dev-id": "dev"}
    assert (shown["source"], shown["type"], shown["user_id"]) == ("main", "daily", "ana")
    assert [(row["id"], row["status"], row["last_error_code"]) for row in shown["deliveries"]] == [
        (delivery.pk, "dead", "http_500")
    ]
    assert "CANARY-PHI" not in str(shown)


def test_a_delivery_shows_its_attempts_oldest_first(api: Api) -> None:
    delivery = make_delivery(make_event(), make_destination("hook"))
    for number in (2, 1, 3):
        make_attempt(delivery, number, status_code=500)

    shown = api.get(f"deliveries/{delivery.pk}")

    assert [attempt["number"] for attempt in shown["attempts"]] == [1, 2, 3]
    assert (shown["destination_name"], shown["event_type"], shown["status"]) == ("hook", "daily", "pending")


def test_a_delivery_that_is_being_tried_has_a_lease_and_no_next_try(api: Api) -> None:
    due = datetime.now(UTC)
    delivery = make_delivery(make_event(), make_destination(), next_attempt_at=due)

    def shown() -> list[Any]:
        answers = (
            api.get(f"deliveries/{delivery.pk}"), api.get("deliveries")["data"][0],
            api.get(f"events/{delivery.event_id}")["deliveries"][0],
        )  # fmt: skip
        return [(one["status"], one["next_attempt_at"], one["lease_until"]) for one in answers]

    moment = Delivery.objects.get().next_attempt_at.isoformat().replace("+00:00", "Z")
    assert shown() == [("pending", moment, None)] * 3
    assert outbox.claim(delivery.destination_id, "w1", 10, 60)
    lease = Delivery.objects.get().next_attempt_at.isoformat().replace("+00:00", "Z")
    assert shown() == [("pending", None, lease)] * 3
    Delivery.objects.update(next_attempt_at=due)  # the worker died, and its lease has ended
    assert shown() == [("pending", moment, None)] * 3


def test_a_delivery_with_very_many_attempts_shows_the_latest(api: Api) -> None:
    delivery = make_delivery(make_event(), make_destination())
    for number in range(1, 206):
        make_attempt(delivery, number)

    numbers = [attempt["number"] for attempt in api.get(f"deliveries/{delivery.pk}")["attempts"]]

    assert numbers == list(range(6, 206))


@pytest.mark.parametrize("path", ["events", "deliveries"])
def test_details_cost_a_fixed_number_of_queries(api: Api, path: str, django_assert_max_num_queries: Any) -> None:
    event = make_event()
    deliveries = [make_delivery(event, make_destination(f"hook {number}")) for number in range(8)]
    for number in range(1, 8):
        make_attempt(deliveries[0], number)

    # session, user, two for permissions, the row, and the rows that belong to it
    with django_assert_max_num_queries(6):
        api.get(f"{path}/{event.pk if path == 'events' else deliveries[0].pk}")


@pytest.mark.parametrize(
    "path", ["events/x", f"events/{NOBODY}", "deliveries/x", "deliveries/7", f"deliveries/{10**30}", "deliveries/-1"]
)
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert api.get(path, 404)["code"] == "not_found"


# --- payloads ---------------------------------------------------------------------------------------
BODIES = [
    b'{"type":"daily","n":1.0}',
    b'{"type":"x","text":"\xc3\xa9\\u0000","n":12345678901234567890.10}',
    b"\x00\xff\xfe",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_payload_is_the_exact_bytes_to_be_saved_and_not_cached(api: Api, body: bytes) -> None:
    event = make_event(body=body)

    answer = api.client.get(f"/api/v1/events/{event.pk}/payload", HTTP_ACCEPT="application/octet-stream")

    assert answer.getvalue() == body
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == f'attachment; filename="{event.pk}.json"'
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Length"] == str(len(body))


def test_a_payload_in_the_payload_store_is_streamed_from_there(api: Api) -> None:
    body = b'{"type":"daily","large":"' + b"x" * 600_000 + b'"}'
    event = make_event(body=body)
    name = storages["payloads"].save("here.json", ContentFile(body))
    Payload.objects.filter(pk=event.pk).update(body=None, store_name=name)

    assert api.client.get(f"/api/v1/events/{event.pk}/payload").getvalue() == body


def test_a_payload_needs_a_permission_of_its_own() -> None:
    event = make_event()

    assert Api("webhooks.view_event").get(f"events/{event.pk}/payload", 403)["code"] == "permission_denied"


@pytest.mark.parametrize("change", ["pruned", "lost"])
def test_a_payload_that_is_not_kept_any_more_is_gone(api: Api, change: str) -> None:
    event = make_event()
    if change == "pruned":
        Payload.objects.all().delete()
    else:
        Payload.objects.update(body=None, store_name="nowhere.json")

    assert api.get(f"events/{event.pk}/payload", 410)["code"] == "payload_gone"


# --- resending deliveries -----------------------------------------------------------------------------
@pytest.mark.parametrize("status", ["delivered", "dead", "cancelled", "pending"])
def test_a_resent_delivery_is_due_now_whatever_became_of_it(api: Api, status: str) -> None:
    delivery = make_delivery(
        make_event(), make_destination(), status, retry_count=8, attempt_count=9, settled_at=datetime.now(UTC)
    )

    assert api.post(f"deliveries/{delivery.pk}/resend", status=202) == {"resent": 1}

    assert is_due(delivery)
    assert (delivery.retry_count, delivery.attempt_count, delivery.trigger) == (0, 9, "resend")
    assert delivery.settled_at is None


def test_a_delivery_that_is_under_way_is_left_to_its_worker(api: Api) -> None:
    leased_until = datetime.now(UTC) + timedelta(seconds=50)
    delivery = make_delivery(
        make_event(), make_destination(), next_attempt_at=leased_until, claimed_by="w1", retry_count=3
    )

    assert api.post(f"deliveries/{delivery.pk}/resend", status=202) == {"resent": 0}

    delivery.refresh_from_db()
    assert (delivery.claimed_by, delivery.next_attempt_at, delivery.retry_count) == ("w1", leased_until, 3)


def test_a_delivery_whose_worker_was_lost_is_resent_and_its_lost_try_is_still_logged(api: Api) -> None:
    ended = datetime.now(UTC) - timedelta(seconds=5)
    destination = make_destination()
    delivery = make_delivery(make_event(), destination, next_attempt_at=ended, claimed_by="lost-worker")

    assert api.post(f"deliveries/{delivery.pk}/resend", status=202) == {"resent": 1}

    assert [row.delivery_id for row in outbox.claim(destination.pk, "next-worker", 10, 60)] == [delivery.pk]
    assert Attempt.objects.get().error_code == "worker_lost"


def test_many_deliveries_are_resent_at_once(api: Api) -> None:
    destination = make_destination()
    deliveries = [make_delivery(make_event(), destination, "dead") for _ in range(5)]
    other = make_delivery(make_event(), destination, "dead")
    ids = [delivery.pk for delivery in deliveries]

    assert api.post("deliveries/resend", {"ids": [*ids, ids[0]]}, 202) == {"resent": 5}

    assert all(is_due(delivery) for delivery in deliveries)
    assert not is_due(other)


def test_one_delivery_that_cannot_be_sent_keeps_the_others_back(api: Api) -> None:
    good = make_delivery(make_event(), make_destination("good"), "dead")
    bad = make_destination("bad one")
    refused = make_delivery(make_event(), bad, "dead")
    disable(bad)

    problem = api.post("deliveries/resend", {"ids": [good.pk, refused.pk]}, 409)

    assert problem["code"] == "destination_disabled"
    assert "bad one" in problem["detail"]
    assert problem["hint"]
    assert not is_due(good)


def test_a_delivery_of_a_deleted_destination_is_refused(api: Api) -> None:
    destination = make_destination("gone")
    delivery = make_delivery(make_event(), destination, "dead")
    delete_destination(destination)

    problem = api.post(f"deliveries/{delivery.pk}/resend", status=404)

    assert problem["code"] == "destination_deleted"
    assert "gone" in problem["detail"]


def test_a_delivery_of_a_paused_destination_joins_its_queue(api: Api) -> None:
    destination = make_destination()
    delivery = make_delivery(make_event(), destination, "dead")
    pause(destination)

    api.post(f"deliveries/{delivery.pk}/resend", status=202)

    assert is_due(delivery)


def test_a_delivery_whose_payload_was_pruned_is_refused(api: Api) -> None:
    delivery = make_delivery(make_event(), make_destination(), "dead")
    Payload.objects.all().delete()

    assert api.post(f"deliveries/{delivery.pk}/resend", status=410)["code"] == "payload_gone"
    assert not is_due(delivery)


def test_ids_that_are_not_there_are_named(api: Api) -> None:
    delivery = make_delivery(make_event(), make_destination(), "dead")

    problem = api.post("deliveries/resend", {"ids": [delivery.pk, 987654]}, 404)

    assert "987654" in messages(problem)["ids"]
    assert not is_due(delivery)


@pytest.mark.parametrize("ids", [None, [], ["x"], [0], [10**30], "7", [1.5], list(range(1, 1002))])
def test_a_list_of_ids_that_makes_no_sense_is_refused(api: Api, ids: object) -> None:
    problem = api.post("deliveries/resend", {"ids": ids}, 400)

    assert all(field.startswith("ids") for field in messages(problem))


# --- resending events ---------------------------------------------------------------------------------
def test_a_resent_event_goes_where_it_would_go_now(api: Api) -> None:
    event = make_event(type="sleep")
    old = make_delivery(event, make_destination("had it"), "dead")
    late = make_destination("came later", event_types=["sleep"])
    other = make_destination("other types", event_types=["daily"])
    off = make_destination("disabled", active=False)

    assert api.post(f"events/{event.pk}/resend", status=202) == {"resent": 2}

    assert is_due(old)
    new = Delivery.objects.get(event=event, destination=late)
    assert is_due(new)
    assert new.trigger == "resend"
    assert not Delivery.objects.filter(destination__in=[other, off]).exists()


def test_a_resent_event_goes_to_the_named_destinations_only(api: Api) -> None:
    event = make_event(type="sleep")
    untouched = make_delivery(event, make_destination("one"), "dead")
    named = make_destination("two", event_types=["daily"])

    for _ in range(2):  # a second time finds the delivery that the first one made
        assert api.post(f"events/{event.pk}/resend", {"destinations": [str(named.pk)]}, 202) == {"resent": 1}

    assert not is_due(untouched)
    assert Delivery.objects.filter(event=event, destination=named).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_resent_many_times_at_once_has_one_delivery() -> None:
    event, destination = make_event(), make_destination()

    assert at_once(8, lambda: resend_event(event.pk, [destination.pk])) == [1] * 8

    assert is_due(Delivery.objects.get())


@pytest.mark.django_db(transaction=True)
def test_a_delivery_that_is_resent_while_its_destination_is_deleted_is_not_left_pending() -> None:
    destination = make_destination()
    delivery = make_delivery(make_event(), destination, "dead")

    with transaction.atomic():
        resend([delivery.pk])
        deleting = in_a_thread(lambda: delete_destination(destination))
        deleting.join(0.5)  # it has to wait for us; if it did not, it would be done by now
    deleting.join()

    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_error_code) == ("cancelled", "destination_deleted")


@pytest.mark.django_db(transaction=True)
def test_resends_of_the_same_deliveries_at_once_do_not_wait_for_each_other() -> None:
    destination = make_destination()
    ids = [make_delivery(make_event(), destination, "dead").pk for _ in range(20)]
    orders = iter([ids, ids[::-1]] * 4)

    assert at_once(8, lambda: resend(next(orders))) == [20] * 8


def test_an_event_that_nobody_takes_is_refused_with_what_to_do(api: Api) -> None:
    problem = api.post(f"events/{make_event().pk}/resend", status=409)

    assert problem["code"] == "no_destination"


def test_a_named_destination_that_is_disabled_or_unknown_is_refused(api: Api) -> None:
    event, off = make_event(), make_destination("off", active=False)

    assert api.post(f"events/{event.pk}/resend", {"destinations": [str(off.pk)]}, 409)["code"] == "destination_disabled"
    assert api.post(f"events/{event.pk}/resend", {"destinations": [NOBODY]}, 404)["code"] == "not_found"
    assert not Delivery.objects.exists()


def test_an_event_from_another_source_is_not_sent_where_it_was_never_wanted(api: Api) -> None:
    make_source("second")
    make_destination(sources=["second"])

    assert api.post(f"events/{make_event().pk}/resend", status=409)["code"] == "no_destination"


@pytest.mark.parametrize("path", ["deliveries/{delivery}/resend", "events/{event}/resend"])
def test_resending_needs_its_permission(path: str) -> None:
    delivery = make_delivery(make_event(), make_destination(), "dead")
    reader = Api("webhooks.view_event", "webhooks.view_delivery", "webhooks.add_delivery", "webhooks.change_delivery")

    reader.post(path.format(delivery=delivery.pk, event=delivery.event_id), status=403)

    assert not is_due(delivery)
