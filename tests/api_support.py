"""What the tests of the control plane and of the API share: users, rows, and a client that speaks JSON."""

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from destinations.ids import uuid7
from destinations.models import Destination
from destinations.services import Refused, create_destination
from webhooks.models import Attempt, AttemptOutcome, Delivery, DeliveryStatus, Event, Payload, Source, Trigger
from webhooks.receiving.sources import create_source

BASE = "/api/v1/"
PROBLEM = "application/problem+json"
CANARY = "CANARY-4f2a-9d1c"  # stands in credentials, and must appear nowhere else
DATABASE = {"host": "127.0.0.1", "database": "health", "username": "hub"}


class Api:
    """Calls the API as one user, and checks what is true of every answer."""

    def __init__(self, *permissions: str, client: Client | None = None, superuser: bool = False) -> None:
        """Log in a new user who has these permissions (``app.codename``)."""
        self.client = client or Client()
        if client is None:
            self.user = make_user(*permissions, superuser=superuser)
            self.client.force_login(self.user)

    def get(self, path: str, status: int = 200, /, **query: Any) -> Any:
        return self._answer(self.client.get(BASE + path, query), status)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        text = "" if body is None else json.dumps(body)
        return self._answer(self.client.generic("POST", BASE + path, text, "application/json"), status)

    def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return self._answer(self.client.patch(BASE + path, json.dumps(body), "application/json"), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._answer(self.client.delete(BASE + path), status)

    def _answer(self, response: Any, status: int) -> Any:
        assert response.status_code == status, response.content.decode()
        if status == 204:
            return None
        body = response.json()
        if status >= 400:
            check_problem(response, body)
        return body


def check_problem(response: Any, body: Any) -> None:
    """Check that an error has the form of every error."""
    assert response["Content-Type"] == PROBLEM
    assert body.keys() == {"title", "status", "detail", "code", "errors", "hint", "request_id"}
    assert body["status"] == response.status_code
    assert body["title"]
    assert body["detail"]
    assert body["code"]
    assert body["request_id"] == response["X-Request-ID"]


def at_once(count: int, action: Callable[[], Any]) -> list[Any]:
    """Run ``action`` in ``count`` threads that start together; return what each returned or raised."""
    barrier = threading.Barrier(count)

    def run(_: int) -> Any:
        barrier.wait()
        try:
            return action()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def in_a_thread(action: Callable[[], Any]) -> threading.Thread:
    """Run ``action`` beside the test, on a connection of its own."""

    def run() -> None:
        try:
            action()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def messages(problem: Any) -> dict[str, str]:
    """Return the messages of a problem's errors by their fields."""
    return {error["field"]: error["message"] for error in problem["errors"]}


def make_user(*permissions: str, superuser: bool = False, password: str | None = None) -> User:
    name = f"user-{uuid7()}"
    user = User.objects.create_user(name, password=password, is_staff=True, is_superuser=superuser)
    for permission in permissions:
        app, codename = permission.split(".")
        # The first one: Payload's own view_payload and the one that Event declares are the same to Django.
        user.user_permissions.add(Permission.objects.filter(content_type__app_label=app, codename=codename)[0])
    return user


def make_destination(name: str = "hook", **settings: Any) -> Destination:
    """Make a webhook destination through its use case; nothing listens there unless the test says so."""
    values = {"config": {"url": "http://127.0.0.1:18999/hook"}, "credentials": {}, **settings}
    return create_destination(type="webhook", name=name, **values).destination


def make_database(name: str = "db", password: str = CANARY, **config: Any) -> Destination:
    """Make a PostgreSQL destination through its use case; nothing listens there unless the test says so."""
    values = {"config": {**DATABASE, **config}, "credentials": {"password": password}}
    return create_destination(type="postgres", name=name, **values).destination


def stored(destination: Destination) -> Destination:
    """Return the row as it is in the database."""
    return Destination.objects.get(pk=destination.pk)


def history(destination: Destination) -> list[str]:
    """Return the reasons of a destination's history records, oldest first."""
    rows = Destination.history.filter(id=destination.pk).order_by("history_id")
    return list(rows.values_list("history_change_reason", flat=True))


def refused(call: Callable[..., Any], *args: Any, **changes: Any) -> Refused:
    """Check that a use case refuses; return the refusal."""
    with pytest.raises(Refused) as caught:
        call(*args, **changes)
    return caught.value


def make_source(slug: str = "main") -> Source:
    return Source.objects.filter(slug=slug).first() or create_source(slug=slug, secret="source-secret-of-the-tests")


def make_event(at: datetime | None = None, *, body: bytes = b'{"type":"daily"}', **columns: Any) -> Event:
    """Make an event that was taken in at ``at`` (now, unless said), with its payload."""
    moment = at or datetime.now(UTC)
    values = {"source": make_source(), "type": "daily", "received_at": moment, "size": len(body), **columns}
    event_id = id_at(moment) if at else uuid7()
    event = Event.objects.create(id=event_id, idempotency_key=str(event_id), **values)
    Payload.objects.create(event=event, body=body, sha256=hashlib.sha256(body).digest())
    return event


def id_at(moment: datetime) -> UUID:
    """Return a UUID version 7 as it is made at ``moment``."""
    milliseconds = int(moment.timestamp() * 1000)
    random = uuid7().int & ((1 << 80) - 1)
    return UUID(int=(milliseconds << 80) | random)


def make_delivery(event: Event, destination: Destination, status: str = "pending", **columns: Any) -> Delivery:
    now = datetime.now(UTC)
    due = now + timedelta(hours=1) if status == DeliveryStatus.PENDING else None
    values = {"created_at": now, "next_attempt_at": due, **columns}
    return Delivery.objects.create(event=event, destination=destination, status=status, **values)


def make_attempt(delivery: Delivery, number: int, **columns: Any) -> Attempt:
    values = {
        "started_at": datetime.now(UTC),
        "duration_ms": 12,
        "outcome": AttemptOutcome.FAILED,
        "error_code": "http_500",
        "trigger": Trigger.SCHEDULE,
        "worker": "test",
        **columns,
    }
    return Attempt.objects.create(delivery=delivery, number=number, **values)
