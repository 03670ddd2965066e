"""The use cases of erasures: start, cancel while it waits, resume what was stopped, lift, the receipt.

A worker carries them on: ``erasures.working``.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from destinations.access.limits import refuse_limited
from destinations.rules import Refused, storable
from webhooks.delivering.outbox import now
from webhooks.keeping.erasures.people import Person, asked, find
from webhooks.keeping.erasures.receipts import sha256_of
from webhooks.keeping.erasures.tombstones import USER, lift_users, make_salt
from webhooks.keeping.erasures.wanted import destinations_of
from webhooks.models import NOTE_LENGTH, Erasure, ErasureStatus, Tombstone

log = structlog.get_logger(__name__)

REQUEST, DEAUTH = "request", "deauth"
OPEN = (ErasureStatus.WAITING, ErasureStatus.RUNNING, ErasureStatus.STOPPED)
MOST_UNCONFIRMED = 5  # user ids: more may be a reference id that a bug gave many people, like "undefined"
TOLD_APART = 8  # characters of an id: a shorter one may be a part of any text
FAILED, LEFT_OUT = "failed", "left_out"  # in ``destination_results``


def start(
    *,
    user_ids: Iterable[str] = (),
    reference_ids: Iterable[str] = (),
    destinations: Iterable[Any] = (),
    by: Any = None,
    trigger: str = REQUEST,
    starts_at: datetime | None = None,
    confirmed_users: int | None = None,
    note: str = "",
) -> Erasure:
    """Start to erase a person, at once or at ``starts_at``; return the job. Raise ``Refused`` with what to change.

    The ids need not be known to the hub: then nothing goes, and what may come later is kept away. ``destinations``
    are ids, or ``"all"``, or ``"none"``. Where more than five user ids are found, ``confirmed_users`` must be how many.
    ``note`` tells it from others: it is shown with the job, and kept; one that holds an id of the person is refused.
    """
    refuse_limited(by)
    person = asked(user_ids, reference_ids)
    places = destinations_of(destinations)
    found = find(person)  # it refuses far too many
    _refuse_note(note, found)
    _refuse_unconfirmed(len(found.user_ids), confirmed_users)
    _refuse_twice(person)
    ids, who = [str(one.pk) for one in places], by.get_username() if by else ""
    row = make(person, ids, trigger, starts_at, who, note.strip())
    log.info("erasure_started", erasure=str(row.pk), status=row.status, by=row.created_by)
    return row


def make(
    person: Person, destination_ids: list[str], trigger: str, starts_at: datetime | None, by: str, note: str = ""
) -> Erasure:
    """Write the row of an erasure; nothing is judged."""
    moment = now()
    later = starts_at is not None and starts_at > moment
    row = Erasure(
        subject_hash=hash_of(person), status=ErasureStatus.WAITING if later else ErasureStatus.RUNNING,
        trigger=trigger, destination_ids=destination_ids, starts_at=starts_at or moment, created_by=by[:150],
        created_at=timezone.now(), note=note,
    )  # fmt: skip
    row.subject = person.stored()
    row.save(force_insert=True)
    return row


def hash_of(person: Person) -> str:
    """Return by what an erasure of somebody is found, also when it is done and holds no id any more."""
    return make_salt().subject(person.user_ids, person.reference_ids)


def _refuse_note(note: str, person: Person) -> None:
    ids = [one for one in (*person.user_ids, *person.reference_ids) if len(one) >= TOLD_APART]
    if len(note.strip()) > NOTE_LENGTH or not storable(note):
        raise Refused({"note": [f"Must be at most {NOTE_LENGTH} characters, without NUL characters."]})
    if any(one.casefold() in note.casefold() for one in ids):
        told = "It holds an id of the person, and is kept when the person is gone. Write a ticket's number."
        raise Refused({"note": [told]}, code="note_names_person")


def _refuse_unconfirmed(found: int, confirmed: int | None) -> None:
    if found > MOST_UNCONFIRMED and confirmed != found:
        said = "" if confirmed is None else f", not {confirmed}"
        told = f"This erases {found} user ids{said}: a reference id that many people share is no person."
        hint = f"Look at what would go. If all of them are one person's, confirm {found} users."
        raise Refused({"confirmed_users": [told]}, code="count_not_confirmed", hint=hint)


def _refuse_twice(person: Person) -> None:
    same = Erasure.objects.filter(subject_hash=hash_of(person), status__in=OPEN).exclude(trigger=DEAUTH).first()
    if same:
        told = f"Erasure {same.pk} of the same person has not ended yet."
        raise Refused({"": [told]}, code="conflict", hint="Wait for it, resume it, or cancel it while it waits.")


def cancel(erasure: Erasure, by: Any = None) -> Erasure:
    """Give up an erasure that has not begun; raise ``Refused`` for any other: what is erased cannot come back."""
    refuse_limited(by)
    if erasure.status != ErasureStatus.WAITING:
        raise Refused({"": ["Only an erasure that waits for its time can be cancelled."]}, code="conflict")
    return _turned(erasure, ErasureStatus.WAITING, by, status=ErasureStatus.CANCELLED, finished_at=timezone.now())


def resume(erasure: Erasure, by: Any = None, *, skip_failed: bool = False) -> Erasure:
    """Go on where a problem stopped it. ``skip_failed``: without the destinations that failed, as the receipt says.

    One that failed and would have been tried again by itself is not left out then: it is tried again. While the job
    runs, ``skip_failed`` leaves out every one that has failed so far, so that the hub's own rows go without a wait.
    """
    refuse_limited(by)
    if skip_failed and erasure.status == ErasureStatus.RUNNING:
        return _left_out(erasure, by)
    if erasure.status != ErasureStatus.STOPPED:
        raise Refused({"": ["Only a stopped erasure can be resumed."]}, code="conflict")
    results = {key: _tried_anew(said, skip_failed) for key, said in erasure.destination_results.items()}
    return _turned(
        erasure, ErasureStatus.STOPPED, by, status=ErasureStatus.RUNNING, problem="", destination_results=results,
        claimed_by="", lease_until=None,
    )  # fmt: skip


def _left_out(erasure: Erasure, by: Any) -> Erasure:
    """Leave out what has failed so far, whatever the worker that has the job is doing."""
    with transaction.atomic():
        row: Erasure = Erasure.objects.select_for_update().get(pk=erasure.pk)
        if row.status != ErasureStatus.RUNNING or not has_failed(row):
            told = "It does not run with a destination that has failed, so there is none to go on without."
            raise Refused({"": [told]}, code="conflict")
        row.destination_results = {
            key: {**said, "status": LEFT_OUT} if said["status"] == FAILED else said
            for key, said in row.destination_results.items()
        }
        row.save(update_fields=["destination_results"])
    log.info("erasure_left_out", erasure=str(row.pk), by=by.get_username() if by else "")
    return row


def has_failed(erasure: Erasure) -> bool:
    """Tell whether a destination has failed, and is tried again or looked after by somebody."""
    return any(said["status"] == FAILED for said in erasure.destination_results.values())


def _tried_anew(said: dict[str, Any], skip: bool) -> dict[str, Any]:
    if said["status"] != FAILED:
        return said
    return {**said, "status": LEFT_OUT} if skip and is_spent(said) else {**said, "tries": 0, "next_try_at": ""}


def is_spent(said: dict[str, Any]) -> bool:
    """Tell of what a destination said whether it failed and is not tried again by itself."""
    return said.get("status") == FAILED and bool(said.get("tries")) and not said.get("next_try_at")


def _turned(erasure: Erasure, was: ErasureStatus, by: Any, **values: Any) -> Erasure:
    """Write a new status, where the present one still is what it was."""
    if values["status"] == ErasureStatus.CANCELLED:
        values["subject"] = ""  # the sealed text: nobody's
    if not Erasure.objects.filter(pk=erasure.pk, status=was).update(**values):
        raise Refused({"": ["It has changed meanwhile. Look at it again."]}, code="conflict")
    row: Erasure = Erasure.objects.get(pk=erasure.pk)
    log.info("erasure_turned", erasure=str(row.pk), status=row.status, by=by.get_username() if by else "")
    return row


def lift(erasure: Erasure, by: Any = None) -> int:
    """Let the users of an erasure that is done come back under their old ids; return how many ids that were.

    What was erased stays erased, and a late retry of it stays away.
    """
    refuse_limited(by)
    if erasure.status != ErasureStatus.DONE:
        raise Refused({"": ["Only an erasure that is done can be lifted."]}, code="conflict")
    count = lift_users(erasure)
    if not count:
        told = "It keeps nobody away: it was lifted before, or a later erasure of the same person keeps them away."
        raise Refused({"": [told]}, code="conflict")
    log.info("erasure_lifted", erasure=str(erasure.pk), ids=count, by=by.get_username() if by else "")
    return count


def keeps_away(erasure: Erasure) -> bool:
    """Tell whether its users are kept away still."""
    return bool(Tombstone.objects.filter(erasure=erasure, kind=USER).exists())


def receipt_of(erasure: Erasure) -> dict[str, Any]:
    """Return the receipt of an erasure that is done: ``{"receipt": …, "sha256": …}``; raise ``Refused`` before that."""
    if not erasure.receipt:
        raise Refused({"": ["There is a receipt once the erasure is done."]}, code="conflict")
    return {"receipt": erasure.receipt, "sha256": erasure.receipt_sha256}


def is_genuine(receipt: dict[str, Any]) -> bool:
    """Tell whether a receipt, as it was handed out, is one of this hub's, unchanged."""
    rows = Erasure.objects.filter(pk=receipt.get("erasure"), receipt_sha256=sha256_of(receipt))
    return bool(rows.exists())
