"""Erasing at destinations: by their adapters, again where they fail, and stopped with words after some tries."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from destinations.adapters import base
from destinations.adapters.base import Erased, Message, Outcome, Result
from destinations.adapters.webhook import WebhookAdapter
from destinations.models import Destination
from destinations.services import delete_destination
from tests.api_support import make_delivery, make_destination, refused
from tests.erasures.stage import BOB, NEW, OLD, REFERENCE, body_of, carried_on, everything_of_alice, kept_event
from webhooks.keeping.erasures import elsewhere, jobs
from webhooks.keeping.erasures.tallies import REMOVED, removed
from webhooks.models import Erasure, Event, Source

pytestmark = pytest.mark.django_db


@dataclass
class Place:
    """What a destination was asked to erase, and what it answers."""

    answers: list[Any]
    people: list[base.Person] = field(default_factory=list)
    messages: list[list[Message]] = field(default_factory=list)

    def erase(self, _: Any, person: base.Person, messages: Iterable[Message]) -> Erased:
        self.people.append(person)
        self.messages.append(list(messages))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]  # a test's own


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Let the webhook type erase, and be due again at once where it failed."""
    made = Place([Erased(7, detail=f"Removed what {NEW} had.")])
    monkeypatch.setattr(WebhookAdapter, "erases", True)
    monkeypatch.setattr(WebhookAdapter, "erase", lambda *given: made.erase(*given))
    monkeypatch.setattr(elsewhere, "WAITS_S", (0.0, 0.0))
    return made


def failing(detail: str = "The server says no.", count: int = 0, outcome: Outcome = Outcome.RETRY) -> Erased:
    return Erased(count, Result(outcome, "42501", detail, "Grant DELETE."))


def test_it_is_asked_for_all_ids_and_for_what_was_or_may_have_been_delivered(
    place: Place, source: Source, hook: Destination
) -> None:
    everything_of_alice(source, hook)
    make_delivery(kept_event(BOB, body=body_of(BOB), reference_id="bob"), hook, "delivered", attempt_count=1)
    make_delivery(kept_event(OLD, source=source), make_destination("another"), "delivered", attempt_count=1)
    never_tried = make_delivery(kept_event(OLD, source=source), hook, "pending")

    row = carried_on(jobs.start(user_ids=[NEW], destinations=[hook.pk]))

    assert [(set(one.user_ids), one.reference_ids) for one in place.people] == [({NEW, OLD}, ())]
    (messages,) = place.messages
    assert len(messages) == 4
    assert str(never_tried.event_id) not in {one.event_id for one in messages}
    assert {(one.type, one.body, one.reference_id) for one in messages} == {("daily", b"", REFERENCE)}
    said = {one.pop("name"): one for one in row.receipt["destinations"]}
    assert said["hook"] == {
        "id": str(hook.pk), "type": "webhook", "status": "erased", "delivered": 1, "unconfirmed": 3,
        "erased": 7, "detail": "Removed what [erased] had.",
    }  # fmt: skip
    assert (said["another"]["status"], said["another"]["delivered"]) == ("not_asked", 1)
    assert removed(row) == 7 + sum(row.counts[name] for name in REMOVED)


def test_one_that_fails_is_asked_again_before_the_hub_forgets_what_it_delivered(
    place: Place, source: Source, hook: Destination
) -> None:
    everything_of_alice(source, hook)
    place.answers = [failing(count=2), RuntimeError(NEW), Erased(3)]
    row = carried_on(jobs.start(user_ids=[NEW], destinations=[hook.pk]))
    assert [len(one) for one in place.messages] == [4, 4, 4]
    assert [(one["status"], one["erased"]) for one in row.receipt["destinations"]] == [("erased", 5)]


def test_one_that_goes_on_failing_stops_the_job_until_somebody_resumes_it(
    place: Place, source: Source, hook: Destination
) -> None:
    everything_of_alice(source, hook)
    place.answers = [failing(f"No {REFERENCE} here.", count) for count in (0, 6, 0, 0)]  # one of them got somewhere
    row = carried_on(jobs.start(reference_ids=[REFERENCE], destinations=[hook.pk]))
    assert (row.status, row.problem) == ("stopped", "hook: No [erased] here. Grant DELETE.")
    assert Event.objects.filter(user_id=NEW).exists()

    place.answers = [Erased(1)]
    row = carried_on(jobs.resume(row))
    assert (row.status, row.problem, row.receipt["destinations"][0]["erased"]) == ("done", "", 7)
    assert refused(jobs.resume, row).code == "conflict"


def test_it_can_go_on_without_what_failed_and_the_receipt_says_so(
    place: Place, source: Source, hook: Destination
) -> None:
    everything_of_alice(source, hook)
    place.answers = [failing() for _ in range(3)]
    row = carried_on(jobs.start(user_ids=[NEW], destinations=[hook.pk]))
    row = carried_on(jobs.resume(row, skip_failed=True))
    assert row.status == "done"
    assert [(one["status"], one["detail"]) for one in row.receipt["destinations"]] == [
        ("left_out", "The server says no.")
    ]


def test_while_it_runs_it_goes_on_without_what_has_failed_so_far(
    place: Place, source: Source, hook: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything_of_alice(source, hook)
    monkeypatch.setattr(elsewhere, "WAITS_S", (3600.0,))
    place.answers = [failing(count=2)]
    row = jobs.start(user_ids=[NEW], destinations=[hook.pk])
    assert "none to go on without" in refused(jobs.resume, row, skip_failed=True).errors[""][0]
    assert carried_on(row, most=20).status == "running"
    assert Event.objects.filter(user_id=NEW).exists()

    row = carried_on(jobs.resume(row, skip_failed=True))
    (said,) = row.receipt["destinations"]
    assert (row.status, said["status"], said["erased"], said["delivered"]) == ("done", "left_out", 2, 1)
    assert not Event.objects.filter(user_id=NEW).exists()


@pytest.mark.parametrize(("answer", "status"), [(failing(), "left_out"), (Erased(3), "erased")])
def test_what_is_left_out_during_a_try_is_not_tried_again_and_counts_where_that_one_succeeds(
    place: Place, hook: Destination, answer: Erased, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = jobs.start(user_ids=[NEW], destinations=[hook.pk])
    answers = [failing(), answer]

    def erase(*_: Any) -> Erased:
        if len(answers) == 1:
            jobs.resume(Erasure.objects.get(), skip_failed=True)
        return answers.pop(0)

    monkeypatch.setattr(WebhookAdapter, "erase", erase)
    assert carried_on(row).receipt["destinations"][0]["status"] == status
    assert answers == []


def test_what_is_refused_as_it_is_stops_it_at_once(place: Place, hook: Destination) -> None:
    place.answers = [failing(outcome=Outcome.REJECTED)]
    assert carried_on(jobs.start(user_ids=[NEW], destinations=[hook.pk])).status == "stopped"
    assert len(place.people) == 1


def test_going_on_without_what_failed_leaves_out_none_that_is_tried_again_anyhow(
    place: Place, hook: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_destination("other")
    monkeypatch.setattr(elsewhere, "WAITS_S", (3600.0,))
    place.answers = [failing(outcome=Outcome.REJECTED), failing(), Erased(1)]
    row = carried_on(jobs.start(user_ids=[NEW], destinations=[hook.pk, other.pk]))
    assert row.problem == "hook: The server says no. Grant DELETE."

    row = carried_on(jobs.resume(row, skip_failed=True))
    said = {one["name"]: (one["status"], one["erased"]) for one in row.receipt["destinations"]}
    assert said == {"hook": ("left_out", 0), "other": ("erased", 1)}


def test_credentials_that_do_not_open_stop_it_with_what_to_do(place: Place, hook: Destination) -> None:
    Destination.objects.filter(pk=hook.pk).update(config={})
    row = carried_on(jobs.start(user_ids=[NEW], destinations=[hook.pk]))
    assert (row.status, row.problem) == (
        "stopped", "hook: A required field is not set. Edit the destination and fill it in."
    )  # fmt: skip


def test_what_was_erased_at_a_destination_before_it_was_deleted_is_counted(place: Place, hook: Destination) -> None:
    place.answers = [failing(count=4, outcome=Outcome.REJECTED)]
    row = carried_on(jobs.start(user_ids=[NEW], destinations=[hook.pk]))
    delete_destination(hook)
    (said,) = carried_on(jobs.resume(row)).receipt["destinations"]
    assert (said["status"], said["erased"]) == ("cannot", 4)


def test_a_destination_that_is_deleted_meanwhile_is_said_to_be_out_of_reach(place: Place, hook: Destination) -> None:
    row = jobs.start(user_ids=[NEW], destinations=[hook.pk])
    delete_destination(hook)
    assert carried_on(row).receipt["destinations"][0]["status"] == "cannot"
    assert place.people == []
    assert refused(jobs.start, user_ids=[NEW], destinations=[hook.pk]).errors.keys() == {"destinations"}


def test_the_payload_store_that_does_not_answer_stops_it_with_its_words(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webhooks.keeping.erasures import working
    from webhooks.keeping.stores.files import FilePayloadStore

    kept_event(NEW, in_store=True)
    monkeypatch.setattr(working, "WAITS_S", (0.0,))
    monkeypatch.setattr(working.connection, "close", lambda: None)  # the test's own transaction
    with monkeypatch.context() as broken:
        broken.setattr(FilePayloadStore, "delete", _no_disk)
        row = carried_on(jobs.start(user_ids=[NEW]))
    assert row.status == "stopped"
    assert "No space left" in row.problem
    assert Erasure.objects.get().counts["tombstones"] == 2
    assert carried_on(jobs.resume(row)).receipt["counts"]["files"] == 1


def _no_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")
