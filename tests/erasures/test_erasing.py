"""A person is erased: nothing in the database or in a file names them, and others lose nothing."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import connection
from django.utils import timezone

from destinations.models import Destination, Notice, StoredAnswer
from tests.api_support import make_delivery, make_destination, make_user, refused
from tests.erasures.stage import (
    BOB,
    IDS,
    NEW,
    OLD,
    REFERENCE,
    body_of,
    carried_on,
    everything_of_alice,
    files_that_name,
    kept_event,
    payload_folder,
    rows_that_name,
)
from tests.erasures.stage import refused as kept_apart
from webhooks.keeping.erasures import jobs, traces
from webhooks.keeping.erasures.plans import plan
from webhooks.keeping.erasures.receipts import sha256_of
from webhooks.models import Delivery, Erasure, Event, Payload, QuarantinedRequest, Replay, Source

pytestmark = pytest.mark.django_db


def test_nothing_names_the_person_afterwards_and_the_receipt_says_what_went(source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    LogEntry.objects.create(
        user=make_user(), action_flag=CHANGE, object_repr=f"events of {NEW}", change_message=f"Looked for {REFERENCE}."
    )
    Notice.objects.create(
        destination=hook, kind="failing_50", text=f"No such user {OLD}.", created_at=source.created_at
    )
    assert {"webhooks_event", "webhooks_payload", "webhooks_attempt", "webhooks_replay"} <= set(rows_that_name(*IDS))
    assert files_that_name(payload_folder(), *IDS)

    row = carried_on(jobs.start(reference_ids=[REFERENCE], by=make_user()))

    assert row.status == "done", row.problem
    assert rows_that_name(*IDS) == []
    assert files_that_name(payload_folder(), *IDS) == []
    counts = row.receipt["counts"]
    assert {name: counts[name] for name in ("events", "payloads", "files", "deliveries", "cancelled", "attempts")} == {
        "events": 6, "payloads": 6, "files": 1, "deliveries": 4, "cancelled": 2, "attempts": 4,
    }  # fmt: skip
    assert (counts["quarantine"], counts["replays_masked"], counts["texts_masked"]) == (4, 1, 2)
    assert (row.receipt["user_ids"], row.receipt["reference_ids"]) == (2, 1)
    assert row.receipt_sha256 == sha256_of(row.receipt)
    assert jobs.is_genuine(jobs.receipt_of(row)["receipt"])
    assert not jobs.is_genuine({**row.receipt, "counts": {}})


def test_others_keep_what_is_theirs(source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    bobs = kept_event(BOB, body=body_of(BOB, reference="bob"), reference_id="bob", in_store=True)
    kept_apart(source, body_of(BOB, reference="bob"))
    kept_apart(source, b"no json of anybody, but alice-in-app-777 and xa11ce")
    Replay.objects.create(kind="matching", selection={"user_id": BOB}, status="done", created_at=source.created_at)

    carried_on(jobs.start(reference_ids=[REFERENCE]))

    assert list(Event.objects.values_list("pk", flat=True)) == [bobs.pk]
    assert files_that_name(payload_folder(), BOB)
    assert QuarantinedRequest.objects.count() == 2
    assert Replay.objects.filter(selection__user_id=BOB).count() == 1


def test_a_plan_counts_and_changes_nothing(source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    before = (Event.objects.count(), Delivery.objects.filter(status="pending").count())

    found = plan(user_ids=[NEW], destinations=[hook.pk])

    assert set(found.person.user_ids) == {NEW, OLD}
    assert found.counts == {
        "events": 5, "payloads": 5, "files": 1, "deliveries": 4, "pending": 2, "attempts": 4, "quarantine": 3,
    }  # fmt: skip
    (place,) = found.destinations
    assert (place.destination, place.delivered, place.erases, place.chosen) == (hook, 1, False, True)
    assert place.unconfirmed == 3
    assert (Event.objects.count(), Delivery.objects.filter(status="pending").count()) == before
    assert not Erasure.objects.exists()


def test_an_unknown_person_is_kept_away_all_the_same() -> None:
    assert plan(user_ids=["nobody-here-1"]).empty
    row = carried_on(jobs.start(user_ids=["nobody-here-1"]))
    assert (row.status, row.receipt["counts"]["events"], row.receipt["counts"]["tombstones"]) == ("done", 0, 1)


def test_who_is_not_said_is_refused() -> None:
    assert refused(jobs.start).errors.keys() == {"user_id"}
    assert refused(jobs.start, user_ids=[" "]).errors.keys() == {"user_id"}
    assert refused(jobs.start, user_ids=["x" * 256]).errors.keys() == {"user_id"}
    assert refused(jobs.start, reference_ids=["a\x00"]).errors.keys() == {"reference_id"}
    assert refused(jobs.start, user_ids=["a"], destinations=["nowhere"]).errors.keys() == {"destinations"}


def test_a_reference_id_that_many_share_is_no_person(source: Source) -> None:
    Event.objects.bulk_create(
        Event(source=source, idempotency_key=str(n), type="daily", user_id=f"user-{n}", reference_id="test", size=1,
              received_at=source.created_at)
        for n in range(201)
    )  # fmt: skip
    assert refused(jobs.start, reference_ids=["test"]).code == "too_many_users"


def test_many_users_are_erased_only_where_their_number_is_confirmed() -> None:
    for number in range(6):
        kept_event(f"user-{number}", reference_id="undefined" if number else "five")
    assert jobs.start(reference_ids=["undefined"]).status == "running"  # five
    kept_event("user-6", reference_id="undefined")
    for confirmed in (None, 5, 7):
        error = refused(jobs.start, reference_ids=["undefined", "more"], confirmed_users=confirmed)
        assert (error.code, "6 user ids" in str(error)) == ("count_not_confirmed", True)
    assert Erasure.objects.count() == 1
    assert jobs.start(reference_ids=["undefined", "more"], confirmed_users=6).status == "running"


def test_the_same_person_is_erased_by_one_job_at_a_time() -> None:
    row = jobs.start(user_ids=[NEW])
    assert refused(jobs.start, user_ids=[NEW]).code == "conflict"
    carried_on(row)
    assert jobs.start(user_ids=[NEW]).status == "running"


def test_one_that_waits_can_be_cancelled_and_forgets_who_it_was(source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    later = source.created_at.replace(year=source.created_at.year + 1)
    row = jobs.start(user_ids=[NEW], starts_at=later)
    assert carried_on(row, most=2).status == "waiting"

    row = jobs.cancel(row)

    assert (row.status, dict(row.subject), Event.objects.count()) == ("cancelled", {}, 6)
    assert refused(jobs.cancel, row).code == "conflict"
    assert refused(jobs.cancel, jobs.start(user_ids=[OLD])).code == "conflict"


def test_what_a_worker_has_in_hand_is_waited_for(source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    one = Delivery.objects.filter(status="pending")[0]
    Delivery.objects.filter(pk=one.pk).update(claimed_by="another:1")
    row = carried_on(jobs.start(user_ids=[NEW]), most=20)
    assert (row.status, row.stage) == ("running", "holding")
    assert Delivery.objects.get(pk=one.pk).status == "pending"
    assert Delivery.objects.filter(status="pending").count() == 1

    Delivery.objects.filter(pk=one.pk).update(status="delivered", claimed_by="")
    assert carried_on(row).status == "done"
    assert not Payload.objects.filter(event__user_id__in=(OLD, NEW)).exists()


def test_what_was_being_taken_in_when_it_began_is_found_by_the_last_look(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_event(NEW)
    with monkeypatch.context() as slow:
        slow.setattr(settings, "COMMIT_TIMEOUT_SECONDS", 1000)
        row = carried_on(jobs.start(user_ids=[NEW]), most=30)
    assert (row.status, row.stage) == ("running", "settling")
    kept_event(NEW, in_store=True)
    kept_apart(source, body_of(NEW))

    assert carried_on(row).status == "done"
    assert rows_that_name(NEW) == []
    assert files_that_name(payload_folder(), NEW) == []
    assert (row.receipt["counts"]["events"], row.receipt["counts"]["quarantine"]) == (2, 1)


def test_a_receiver_that_said_no_is_told_of_since_it_may_have_kept_what_it_was_sent(
    source: Source, hook: Destination
) -> None:
    other, never = make_destination("said-no"), make_destination("never-tried")
    event = kept_event(NEW, source=source)
    make_delivery(event, other, "dead", attempt_count=2)
    make_delivery(event, never)

    assert [(one.destination, one.delivered, one.unconfirmed) for one in plan(user_ids=[NEW]).destinations] == [
        (other, 0, 1)
    ]
    row = carried_on(jobs.start(user_ids=[NEW]))
    (told,) = row.receipt["destinations"]
    assert (told["name"], told["status"], told["delivered"], told["unconfirmed"]) == ("said-no", "not_asked", 0, 1)


def test_an_event_whose_id_runs_ahead_of_the_clock_is_erased_too() -> None:
    later = timezone.now() + timedelta(hours=1)  # the clock was set back since, or another host's is fast
    report = b'{"type":"lab_report","reference_id":"%b"}' % REFERENCE.encode()
    kept_event("", body=report, at=later, received_at=timezone.now())
    assert carried_on(jobs.start(reference_ids=[REFERENCE])).status == "done"
    assert rows_that_name(REFERENCE) == []


def test_an_event_that_is_made_due_again_meanwhile_is_cancelled_too(source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    row = jobs.start(user_ids=[NEW])
    while row.stage != "events":
        carried_on(row, most=1)
    Delivery.objects.update(status="pending", claimed_by="", settled_at=None)
    assert carried_on(row).status == "done"
    assert not Delivery.objects.exists()


def test_stored_answers_that_name_the_person_go_and_others_stay() -> None:
    for name, said in (("a", {"selection": {"user_id": NEW}}), ("b", {"selection": {"user_id": BOB}})):
        row = StoredAnswer(principal="user:1", key=name, fingerprint="0" * 64, status=202)
        row.answer = {"body": said, "headers": {}}
        row.save()
    carried_on(jobs.start(user_ids=[NEW]))
    assert [row.key for row in StoredAnswer.objects.all()] == ["b"]


def test_stored_answers_are_opened_before_the_transaction_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    depths: list[int] = []
    monkeypatch.setattr(traces, "answers_naming", lambda person: depths.append(len(connection.savepoint_ids)) or [])
    outside = len(connection.savepoint_ids)
    assert carried_on(jobs.start(user_ids=[NEW])).status == "done"
    assert depths == [outside]
