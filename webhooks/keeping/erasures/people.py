"""Who is erased: every id that Terra and the operator have for one person, and the events that go by them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from destinations.rules import Refused, storable
from destinations.terra import InvalidPayload, summarize
from webhooks.event_ids import first_id_at, moment_of_id
from webhooks.finding import byindex
from webhooks.keeping.erasures.matching import Ids
from webhooks.keeping.payloads import PayloadMissing, PayloadStoreDown, read_body
from webhooks.models import ID_LENGTH, Event, Payload, UserLink

MOST_ASKED = 100
MOST_USERS = 200  # of one person: more are no person, but a reference id that many share
_LOOKED_AT = 20_000  # user_reauth events from before links were written
REAUTH = "user_reauth"


@dataclass(frozen=True, slots=True)
class Person:
    """One person by their ids."""

    user_ids: tuple[str, ...] = ()  # Terra's
    reference_ids: tuple[str, ...] = ()  # the operator's own
    # When their erasure began: a reference id that comes later with a new user id is the person come back.
    # Before it has begun, where they left: when that was.
    begun_at: datetime | None = None

    @property
    def ids(self) -> Ids:
        """Return what finds them in bodies and texts."""
        return Ids(frozenset((*self.user_ids, *self.reference_ids)))

    def events(self) -> list[QuerySet[Event]]:
        """Return their events: the rows of one id each, newest first. An event may be in more than one."""
        users = [_with(Event.objects.all(), "user_id", one) for one in self.user_ids]
        known = Event.objects.filter(pk__lt=first_id_at(self.begun_at)) if self.begun_at else Event.objects.all()
        return [
            rows.order_by("-pk")
            for rows in (*users, *(_with(known, "reference_id", one) for one in self.reference_ids))
        ]

    def stored(self) -> dict[str, Any]:
        """Return it as ``Erasure.subject`` has it."""
        begun = {"begun_at": self.begun_at.isoformat()} if self.begun_at else {}
        return {"user_ids": list(self.user_ids), "reference_ids": list(self.reference_ids), **begun}


def after_all_events() -> datetime:
    """Return now, or the moment after the newest event's id where that is ahead.

    Ids run ahead of the time after a clock was set back, and where another host's clock is fast.
    """
    newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first()
    return max(timezone.now(), moment_of_id(newest) + timedelta(milliseconds=1)) if newest else timezone.now()


def _with(rows: QuerySet[Event], column: str, value: str) -> QuerySet[Event]:
    """Keep the rows with a value, by the index of its column; what comes out can stand within another query."""
    return rows.filter(**{f"{column}__{byindex.ByIndex.lookup_name}": value, f"{column}__not_empty": True})


def person_in(subject: Mapping[str, Any]) -> Person:
    """Return who an erasure is about."""
    begun = subject.get("begun_at")
    return Person(
        tuple(subject.get("user_ids", ())),
        tuple(subject.get("reference_ids", ())),
        datetime.fromisoformat(begun) if begun else None,
    )


def asked(user_ids: Iterable[str], reference_ids: Iterable[str]) -> Person:
    """Return the ids that were asked for, each once; raise ``Refused`` where they are none."""
    person = Person(tuple(dict.fromkeys(user_ids)), tuple(dict.fromkeys(reference_ids)))
    errors = {}
    for name, ids in (("user_id", person.user_ids), ("reference_id", person.reference_ids)):
        if any(not _is_id(one) for one in ids):
            errors[name] = [f"Must be a text of 1 to {ID_LENGTH} characters."]
        if len(ids) > MOST_ASKED:
            errors[name] = [f"At most {MOST_ASKED} at once."]
    if not person.user_ids and not person.reference_ids:
        errors["user_id"] = ["Say who: a user id of Terra's, or a reference id of your own."]
    if errors:
        raise Refused(errors)
    return person


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= ID_LENGTH and storable(value)


def find(person: Person, *, forward: bool = True) -> Person:
    """Return a person with every user id that the hub can link to those given; raise ``Refused`` for too many.

    By reference ids come the users that were seen with them; from each user, the ids that Terra replaced by
    ``user_reauth``, older and newer ones. Not ``forward``: older ones only.
    """
    users = dict.fromkeys(person.user_ids)
    for one in person.reference_ids:
        rows = _with(Event.objects.exclude(user_id=""), "reference_id", one).order_by()
        users |= dict.fromkeys(rows.values_list("user_id", flat=True).distinct()[: MOST_USERS + 1])
    _refuse_many(users)
    earlier = _unwritten_links()
    new = list(users)
    while new:
        linked = {one for one in _linked(new, earlier, forward) if one not in users}
        users |= dict.fromkeys(sorted(linked))
        _refuse_many(users)
        new = list(linked)
    return Person(tuple(users), person.reference_ids, person.begun_at)


def _refuse_many(users: Mapping[str, None]) -> None:
    if len(users) > MOST_USERS:
        told = f"These are more than {MOST_USERS} user ids: a reference id that many people share is no person."
        raise Refused({"": [told]}, code="too_many_users", hint="Name the user ids of the one person.")


def _linked(users: Sequence[str], earlier: Iterable[tuple[str, str]], forward: bool) -> Iterator[str]:
    known = Q(new_user_id__in=users) | (Q(old_user_id__in=users) if forward else Q(pk__in=[]))
    for old, new in [*UserLink.objects.filter(known).values_list("old_user_id", "new_user_id"), *earlier]:
        if new in users:
            yield old
        if forward and old in users:
            yield new


def _unwritten_links() -> list[tuple[str, str]]:
    """Return what user_reauth events say that came before links were written, as far as their payloads are kept."""
    written = UserLink.objects.filter(new_user_id=OuterRef("event__user_id"))
    rows = Payload.objects.filter(~Exists(written), event__type=REAUTH).order_by("-event_id")
    found = []
    for payload in rows[:_LOOKED_AT].iterator(chunk_size=500):
        try:
            said = summarize(read_body(payload))
        except (PayloadMissing, InvalidPayload):
            continue
        except PayloadStoreDown as error:
            raise Refused({"": [str(error)]}, code="payload_unavailable", hint="Try again.") from error
        if said.old_user_id and said.user_id:
            found.append((said.old_user_id, said.user_id))
    return found


def users_beside(person: Person) -> int:
    """Return how many other users were seen with this person's reference ids: other wearables of theirs, likely."""
    references: set[str] = set()
    for rows in person.events()[: len(person.user_ids)]:
        named = rows.exclude(reference_id="").order_by().values_list("reference_id", flat=True)
        references.update(named.distinct()[:MOST_ASKED])
    others: set[str] = set()
    for one in sorted(references)[:MOST_ASKED]:
        beside = _with(Event.objects.exclude(user_id=""), "reference_id", one).order_by()
        others.update(beside.values_list("user_id", flat=True).distinct()[: MOST_USERS + 1])
    return len(others - set(person.user_ids))


def batch(person: Person, number: int, before: UUID | None, most: int) -> list[Event]:
    """Return some events of a person's id ``number``, newest first, older than ``before``."""
    rows = person.events()[number]
    rows = rows if before is None else rows.filter(pk__lt=before)
    return list(rows.only("pk", "source_id", "idempotency_key")[:most])
