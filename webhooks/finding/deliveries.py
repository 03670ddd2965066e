"""Which index serves a filter of the list of deliveries, and what is tested of its rows."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery

from destinations.services import Refused
from webhooks.finding.byindex import by_index, failed
from webhooks.finding.events import equals, of_trace
from webhooks.finding.moments import first_delivery_at
from webhooks.finding.scans import CAP, Batch, Key, Order, Scan, Test
from webhooks.models import Delivery, DeliveryStatus, Event
from webhooks.sql import bind, on_postgres

_NEWEST = Order()
_BY_EVENT = Order(("event_id", "pk"))
_BY_DUE = Order(("next_attempt_at", "pk"), falling=False)
_EVENT_STEPS = (50, 250, 700)  # events that are looked at
_COUNTED_FROM = 250  # of them, to count
# Columns of events by which deliveries are found: the one that is likely to hold fewest rows first.
_OF_EVENT = "of_event_"  # begins the names of what is read from events
_SOURCE = f"{_OF_EVENT}source_id"
_OF_EVENTS = ("user_id", "terra_reference", "reference_id")


@dataclass(frozen=True, slots=True)
class DeliveriesWanted:
    """A filter of deliveries; what is empty is not asked."""

    status: str = ""
    destination_id: UUID | None = None
    error_code: str = ""  # of the last try, of one that waits or was given up
    type: str = ""  # this and what follows: of its event
    user_id: str = ""
    reference_id: str = ""
    terra_reference: str = ""
    trace_id: str = ""
    event_id: UUID | None = None
    sources: Collection[UUID] | None = None  # ids: of others nothing is found; None: of every source
    replay_id: int | None = None
    since: datetime | None = None  # when it was made
    until: datetime | None = None


@dataclass(frozen=True)
class _Driver:
    """The index that hands out the rows: its first columns, and what the list then need not test."""

    rows: QuerySet[Any]
    prefix: tuple[str, ...]
    serves: tuple[str, ...]
    order: Order = _NEWEST


def last_error(code: str, status: int | None) -> str:
    """Return the code of a last error that is named by it, or by an HTTP status; raise ``Refused`` for two of them."""
    of_status = f"http_{int(status)}" if status else ""
    if code and of_status and code != of_status:
        raise Refused({"status_code": ["A delivery has one last error: leave this or error_code out."]})
    return code or of_status


def deliveries_scan(wanted: DeliveriesWanted) -> Scan:
    """Return how the deliveries that are wanted are found.

    Newest first; what waits, the next due one first; by what an event says of itself, the newest event's first.
    An index serves event, trace_id, user_id, terra_reference, reference_id, replay, error_code, destination, and
    the statuses pending and dead, alone or with a destination. The others are tested. The time is a range of the
    primary key.
    """
    span = _span(wanted)
    if wanted.event_id:
        rows = Delivery.objects.filter(pk__in=_of_event(wanted.event_id))
        return _scan(wanted, _Driver(rows, (), ("event_id",)), span)
    if wanted.trace_id:
        rows = Delivery.objects.filter(pk__in=_of_events(of_trace(wanted.trace_id)))
        return _scan(wanted, _Driver(rows, (), ("trace_id",)), span)
    if name := next((name for name in _OF_EVENTS if getattr(wanted, name)), ""):
        columns, tests = _tests(wanted, (name,), span)
        return EventsScan(
            (), order=_BY_EVENT, columns=columns, tests=tests, steps=_EVENT_STEPS,
            name=name, value=getattr(wanted, name), rows=_with_events(Delivery.objects.all(), columns),
        )  # fmt: skip
    if wanted.replay_id is not None:
        return _replay_scan(wanted, wanted.replay_id, span)
    if wanted.status == DeliveryStatus.PENDING and not wanted.error_code and not wanted.destination_id:
        columns, tests = _tests(wanted, ("status",), span)
        rows = _with_events(Delivery.objects.all(), columns)
        return DueScan((), order=_BY_DUE, columns=columns, tests=tests, steps=(60, 150, 300), rows=rows)
    return _scan(wanted, _driver(wanted), span)


def _driver(wanted: DeliveriesWanted) -> _Driver:
    rows = Delivery.objects.all()
    destination: dict[str, Any] = {"destination_id": wanted.destination_id} if wanted.destination_id else {}
    if wanted.error_code:
        values = destination or {"last_error_code": wanted.error_code}
        return _Driver(by_index(failed(rows), values), tuple(values), tuple(values))
    if wanted.status == DeliveryStatus.PENDING:
        waiting = rows.filter(status=DeliveryStatus.PENDING, next_attempt_at__isnull=False)
        return _Driver(by_index(waiting, destination), tuple(destination), ("status", *destination), _BY_DUE)
    values = {**destination, "status": wanted.status} if wanted.status == DeliveryStatus.DEAD else destination
    return _Driver(by_index(rows, values), tuple(values), tuple(values))


def _scan(wanted: DeliveriesWanted, driver: _Driver, span: tuple[int | None, int | None]) -> Scan:
    by_id = driver.order.columns == ("pk",)
    columns, tests = _tests(wanted, driver.serves, (None, None) if by_id else span)
    rows = _with_events(_between(driver.rows, span) if by_id else driver.rows, columns)
    return Scan((rows,), driver.prefix, driver.order, columns, tests)


def _replay_scan(wanted: DeliveriesWanted, replay_id: int, span: tuple[int | None, int | None]) -> Scan:
    """Merge the four statuses of a replay: its index has the status before the id."""
    columns, tests = _tests(wanted, ("replay_id", "status"), (None, None))
    statuses = [wanted.status] if wanted.status else DeliveryStatus.values
    rows = _with_events(_between(Delivery.objects.filter(replay__isnull=False), span), columns)
    arms = tuple(by_index(rows, {"replay_id": replay_id, "status": status}) for status in statuses)
    return Scan(arms, ("replay_id", "status"), columns=columns, tests=tests)


def _tests(
    wanted: DeliveriesWanted, served: tuple[str, ...], span: tuple[int | None, int | None]
) -> tuple[tuple[str, ...], tuple[Test, ...]]:
    """Return the columns that are tested, and their tests."""
    tested = {name: equals(name, value) for name, value in _equal(wanted) if name not in served}
    of_event = {name: getattr(wanted, name) for name in ("type", *_OF_EVENTS) if name not in served}
    tested |= {_OF_EVENT + name: equals(_OF_EVENT + name, value) for name, value in of_event.items() if value}
    among = wanted.sources
    if among is not None:
        tested[_SOURCE] = lambda row: row[_SOURCE] in among
    if wanted.trace_id and "trace_id" not in served:
        events = set(of_trace(wanted.trace_id))
        tested["event_id"] = lambda row: row["event_id"] in events
    if wanted.error_code and "status" not in tested and "last_error_code" in tested:
        tested["status"] = lambda row: row["status"] in (DeliveryStatus.PENDING, DeliveryStatus.DEAD)
    if span != (None, None):
        tested["pk"] = lambda row: (span[0] or 0) <= row["pk"] < (span[1] or row["pk"] + 1)
    return tuple(tested), tuple(tested.values())


def _equal(wanted: DeliveriesWanted) -> Iterator[tuple[str, Any]]:
    yield from (
        (name, value)
        for name, value in (
            ("status", wanted.status), ("destination_id", wanted.destination_id), ("event_id", wanted.event_id),
            ("last_error_code", wanted.error_code), ("replay_id", wanted.replay_id),
        ) if value
    )  # fmt: skip


def _with_events(rows: QuerySet[Any], columns: Sequence[str]) -> QuerySet[Any]:
    """Put what is tested of events beside the rows: an index probe for each row that is looked at.

    No join, which PostgreSQL may answer by reading every event once.
    """
    asked = {name: name.removeprefix(_OF_EVENT) for name in columns if name.startswith(_OF_EVENT)}
    event = Event.objects.filter(pk=OuterRef("event_id")).order_by()
    read = {name: Subquery(event.values(column)[:1], output_field=_kept_as(column)) for name, column in asked.items()}
    found: QuerySet[Any] = rows.annotate(**read)
    return found


def _kept_as(column: str) -> Any:
    field: Any = Event._meta.get_field(column)
    return getattr(field, "target_field", field)  # of a foreign key: SQLite's text is made an id by that


def _span(wanted: DeliveriesWanted) -> tuple[int | None, int | None]:
    since, until = wanted.since, wanted.until
    return (first_delivery_at(since) if since else None), (first_delivery_at(until) if until else None)


def _between(rows: QuerySet[Any], span: tuple[int | None, int | None]) -> QuerySet[Any]:
    low, high = span
    rows = rows if low is None else rows.filter(pk__gte=low)
    return rows if high is None else rows.filter(pk__lt=high)


def _of_event(event_id: UUID) -> list[int]:
    """Return the deliveries of an event: one for each destination at most."""
    return _of_events([event_id])


def _of_events(ids: Sequence[UUID]) -> list[int]:
    return list(Delivery.objects.filter(event_id__in=ids).order_by().values_list("pk", flat=True)[:5000])


@dataclass(frozen=True)
class EventsScan(Scan):
    """Deliveries of the events that have a value, as of one user: the events by their index, then what each has."""

    name: str = ""  # the index's first column
    value: str = ""
    rows: QuerySet[Any] = field(default_factory=Delivery.objects.all)

    def fetch(self, key: Key | None, backwards: bool, most: int) -> Batch:
        """Return the deliveries of the next ``most`` events."""
        events = by_index(Event.objects.all(), {self.name: self.value})
        if key is not None:  # the event of the last row may have more
            events = events.filter(**{"pk__gte" if backwards else "pk__lte": key[0]})
        names = (f"-{self.name}", "pk") if backwards else (self.name, "-pk")
        ids = list(events.order_by(*names).values_list("pk", flat=True)[:most])
        rows = self.rows.filter(event_id__in=ids)
        if key is not None:
            rows = self.order.beyond(rows, key, backwards)
        found = list(rows.order_by().values(*dict.fromkeys(("pk", "event_id", *self.columns))))
        found.sort(key=self.order.key_of, reverse=not backwards)
        # All of the last event's deliveries are among them, whatever their ids.
        return Batch(found, (ids[-1], 2**63 - 1 if backwards else 0) if len(ids) == most else None)

    def plan(self, size: int) -> Sequence[int]:
        """Return the steps: an event may have no delivery."""
        return self.steps

    def counted_from(self) -> int:
        """Return how many events are looked at to count."""
        return _COUNTED_FROM


@dataclass(frozen=True)
class DueScan(Scan):
    """What waits anywhere, the next due first: the beginning of each destination's own queue, merged."""

    rows: QuerySet[Any] = field(default_factory=Delivery.objects.all)

    def fetch(self, key: Key | None, backwards: bool, most: int) -> Batch:
        """Return the next ``most`` of all queues."""
        with connection.cursor() as cursor:
            cursor.execute(*_due(key, backwards, most))
            ids = [row[0] for row in cursor.fetchall()]
        columns = dict.fromkeys((*self.order.columns, *self.columns))
        rows = self.rows.filter(pk__in=ids, next_attempt_at__isnull=False).order_by().values(*columns)
        found = sorted(rows, key=self.order.key_of, reverse=backwards)
        return Batch(found, self.order.key_of(found[-1]) if found and len(ids) == most else None)

    def counted_from(self) -> int:
        """Return how many rows are looked at to count: each may take one of every queue."""
        return CAP + 1


_QUEUE = """
    SELECT v.id, v.next_attempt_at FROM webhooks_delivery v
    WHERE v.destination_id = d.id AND v.status = 'pending' {beyond}
    ORDER BY v.next_attempt_at {way}, v.id {way} LIMIT %s
"""


def _due(key: Key | None, backwards: bool, most: int) -> tuple[str, list[Any]]:
    """Return the statement that merges the queues, and its parameters."""
    way, sign = ("DESC", "<") if backwards else ("ASC", ">")
    beyond, params = "AND v.next_attempt_at IS NOT NULL", []
    if key is not None:
        moment = bind(key[0])
        beyond = f"AND v.next_attempt_at {sign}= %s AND (v.next_attempt_at {sign} %s OR v.id {sign} %s)"
        params = [moment, moment, key[1]]
    queue = _QUEUE.format(beyond=beyond, way=way)
    joined = f"CROSS JOIN LATERAL ({queue}) w"
    if not on_postgres():  # SQLite has no LATERAL
        joined = f"JOIN webhooks_delivery w ON w.id IN ({queue.replace('v.id, v.next_attempt_at FROM', 'v.id FROM')})"
    sql = f"SELECT w.id FROM destinations_destination d {joined} ORDER BY w.next_attempt_at {way}, w.id {way} LIMIT %s"  # noqa: S608
    return sql, [*params, most, most]
