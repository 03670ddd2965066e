"""A delivery's page: what happened, in the order in which it did."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.urls import reverse

from destinations.shown import size
from webhooks.admin.curl import curl_of
from webhooks.keeping.queueing import CANCELLED
from webhooks.keeping.testevents import made_here
from webhooks.models import Attempt, Delivery, Replay, Trigger
from webhooks.receiving.evidence import Evidence, evidence_of
from webhooks.wording import attempt_chip

_AT_ONCE_S = 2  # from an event to the deliveries that were written with it
_MAKERS = {Trigger.RESEND: "a resend", Trigger.REPLAY: "a replay", Trigger.TEST: "a test"}


class Step(NamedTuple):
    """Something that happened before the first attempt."""

    icon: str
    title: str
    at: datetime | None
    text: str


def steps_before(delivery: Delivery) -> list[Step]:
    """Return received, verified, stored and queued."""
    return list(_steps(delivery))


def _steps(delivery: Delivery) -> Iterator[Step]:
    event = delivery.event
    own = made_here(event)
    origin = f"Made by this hub itself, for source {event.source.slug}" if own else f"From source {event.source.slug}"
    yield Step("science" if own else "input", "Received", event.received_at, f"{origin}, {size(event.size)}.")
    evidence = evidence_of(event)
    if evidence:
        yield Step("verified", "Verified", None, signed_words(evidence, event.stale))
    when = "together." if own else "before Terra's answer."
    yield Step("save", "Stored", event.received_at, f"The event and its deliveries were on disk {when}")
    yield Step("schedule", "Queued", delivery.created_at, _made_by(delivery))


def _made_by(delivery: Delivery) -> str:
    """Return what made a delivery. Its first attempt tells; until then what it waits for does."""
    with_event = (delivery.created_at - delivery.event.received_at).total_seconds() < _AT_ONCE_S
    first = delivery.attempts.select_related("replay").filter(number=1).first() if delivery.attempt_count else delivery
    if delivery.last_error_code == CANCELLED and not delivery.attempt_count:
        return "Later than the event: a replay made it."
    if with_event or (first and first.trigger == Trigger.SCHEDULE):
        return "With the event."
    if first is None:  # its first attempts are no longer kept
        return "Later than the event."
    if first.replay:
        return f"Later than the event: {_of_job(first.replay)} made it."
    return f"Later than the event: {_MAKERS[Trigger(first.trigger)]} made it."


def signed_words(evidence: Evidence, stale: bool) -> str:
    """Return how old a signature was when it came, and which secret it was made with."""
    age = evidence.age_s
    old = f"{age} s old when it came" if age >= 0 else f"{-age} s ahead of this hub's clock"
    late = ", older than the source's tolerance: taken as a late retry, since its body was new" if stale else ""
    return f"Signed {evidence.words + ', ' if evidence.words else ''}{old}{late}."


def shown_attempt(attempt: Attempt, delivery: Delivery) -> dict[str, Any]:
    """Return an attempt as the timeline shows it."""
    request, response = _fields(attempt.request), _fields(attempt.response)
    return {
        "row": attempt,
        "chip": attempt_chip(attempt),
        "why": _why(attempt),
        "replay_url": _replay_url(attempt.replay),
        "request": request,
        "request_headers": _headers(request),
        "request_rest": _rest(request, "method", "url", "headers"),
        "response": response,
        "response_headers": _headers(response),
        "response_body": response.get("body") if isinstance(response.get("body"), str) else None,
        "response_rest": _rest(response, "status", "headers", "body", "truncated"),
        "cut": response.get("truncated") is True,
        "kept": cut_size(response.get("body")),
        "curl": curl_of(request, f"{delivery.event_id}.json"),
    }


def cut_size(shown: Any) -> str:
    """Return how much of a body was kept, of one that was cut."""
    return size(len(shown.encode(errors="replace"))) if isinstance(shown, str) else ""


def _fields(snapshot: Any) -> dict[str, Any]:
    return snapshot if isinstance(snapshot, dict) else {}


def _headers(snapshot: Mapping[str, Any]) -> list[tuple[str, str]]:
    held = snapshot.get("headers")
    return [(str(name), str(value)) for name, value in held.items()] if isinstance(held, dict) else []


def _rest(snapshot: Mapping[str, Any], *shown: str) -> dict[str, Any]:
    """Return what of a snapshot has no place of its own: what a database or a queue was told, for example."""
    return {name: value for name, value in snapshot.items() if name not in shown or _odd(name, value)}


def _odd(name: str, value: Any) -> bool:
    return not isinstance(value, dict if name == "headers" else str | int | bool | None)


def _why(attempt: Attempt) -> str:
    if attempt.trigger == Trigger.RESEND:
        return "Resent by hand"
    if attempt.trigger == Trigger.TEST:
        return "Test event"
    if attempt.trigger == Trigger.REPLAY or attempt.replay_id:
        return _replayed(attempt.replay)
    return "By schedule"


def _of_job(job: Replay) -> str:
    return f"replay {job.pk}{f' by {job.created_by}' if job.created_by else ''}"


def _replayed(job: Replay | None) -> str:
    if job is None:
        return "Replayed"
    return f"Replayed by {job.created_by}, job {job.pk}" if job.created_by else f"Replayed, job {job.pk}"


def _replay_url(job: Replay | None) -> str:
    return reverse("admin:webhooks_replay_change", args=[job.pk]) if job else ""
