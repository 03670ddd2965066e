"""Every operation of the API x everybody who may call it: each cell of the table in docs/api-permissions.md."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from destinations.access.keys import NewKey, make_key, revoke_key
from destinations.access.scopes import SCOPES, least_scopes, permissions_of, scopes_with
from terra_hub.roles import ADMIN, OPERATOR, VIEWER
from tests.api_matrix import CALLERS, PAGE, ROWS, Row, filled, normal, page
from tests.api_support import check_problem, make_attempt, make_delivery, make_destination, make_event, make_source
from tests.keys_support import limited_later
from tests.roles_support import user_in
from webhooks.keeping.erasures.tombstones import mark_users
from webhooks.models import Erasure, QuarantinedRequest, Replay

pytestmark = pytest.mark.databaseless

PREFIX = "api/v1/"


@pytest.fixture
def world() -> dict[str, Any]:
    """One of everything, all of it of the source ``main``; by the names that rows use."""
    source, _ = make_source(), make_source("elsewhere")
    destination = make_destination(sources=["main"])
    event = make_event()
    delivery = make_delivery(event, destination, "dead", last_error_code="http_500")
    attempt = make_attempt(delivery, 1)
    item = QuarantinedRequest.objects.create(
        source=source, reason="signature_mismatch", body=b'{"type":"daily"}', size=16, received_at=event.received_at
    )
    made = {
        "kind": "matching", "selection": {"source": "main"}, "destination_ids": [str(destination.pk)],
        "created_at": event.received_at,
    }  # fmt: skip
    replay = Replay.objects.create(**made)
    stopped = Replay.objects.create(**made, status="stopped")
    waiting = make_delivery(event, make_destination("second", sources=["main"]))
    admitted = QuarantinedRequest.objects.create(
        source=source, reason="signature_mismatch", event=event, received_at=event.received_at,
        admitted_at=event.received_at,
    )  # fmt: skip
    erasures = {
        name: Erasure.objects.create(
            status=status, subject_hash=status, starts_at=timezone.now(), created_at=timezone.now()
        )
        for name, status in {"erasure": "done", "erasure_to_come": "waiting", "erasure_stopped": "stopped"}.items()
    }
    mark_users(erasures["erasure"], ["a person erased"])
    key = make_key(name="somebody's", scopes=["events:read"], sources=["main"]).row
    rows = {
        "source": source, "destination": destination, "event": event, "delivery": delivery, "attempt": attempt,
        "item": item, "replay": replay, "key": key, "stopped": stopped, "waiting": waiting, "admitted": admitted,
        **erasures,
    }  # fmt: skip
    return {name: row.pk for name, row in rows.items()} | {"slug": source.slug, "type": "mysql"}


@pytest.mark.django_db
def test_everybody_gets_what_the_table_says(world: dict[str, Any]) -> None:
    people = {role: _session(role) for role in (VIEWER, OPERATOR, ADMIN)}
    keys = Keys()
    wrong, told = [], []
    for row in ROWS:
        texts = keys_of(row, keys)
        expected = row.expected()
        for caller in ("no key", "revoked") if row.open else expected:
            status = expected[caller]
            answer = _asked(row, world, people.get(caller) or _with_key(texts.get(caller)))
            got = 200 if 200 <= answer.status_code < 300 else answer.status_code
            if got != status:
                wrong.append(
                    f"{row.operation}, {caller}: {answer.status_code} and not {status}: {answer.content[:300]!r}"
                )
            elif got >= 400:
                told += _said_badly(row, caller, answer)
            elif caller == "another source" and not row.shared and _shows_something(answer, world):
                told.append(f"{row.operation} shows a key of another source what it may not see")
    assert wrong == []
    assert told == []


def keys_of(row: Row, made: Callable[..., NewKey]) -> dict[str, str]:
    """Return the text of the key of each caller that has one; ``made`` makes keys, each kind once."""
    lacking = [scope for scope in SCOPES if scope not in scopes_with(row.permissions[-1:])] or SCOPES[:1]
    return {
        "expired": made("expired", SCOPES).text,
        "revoked": made("revoked", SCOPES).text,
        "wrong scope": made("wrong", lacking).text,
        "its scope": made("right", least_scopes(row.permissions)[:1] or SCOPES[:1]).text,
        "its source": made("its source", SCOPES, ["main"]).text,
        "another source": made("another source", SCOPES, ["elsewhere"]).text,
        "full key": made("full", SCOPES).text,
    }


class Keys:
    """Makes each kind of key once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], NewKey] = {}

    def __call__(self, name: str, scopes: Sequence[str], sources: Sequence[str] = ()) -> NewKey:
        kind = (name, *scopes, *sources)
        if kind not in self._made:
            self._made[kind] = self._make(name, scopes, sources)
        return self._made[kind]

    def _make(self, name: str, scopes: Sequence[str], sources: Sequence[str]) -> NewKey:
        new = limited_later(make_key(name=name, scopes=scopes), sources)
        if name == "revoked":
            revoke_key(new.row)
        if name == "expired":
            new.row.expires_at = timezone.now() - timedelta(seconds=1)
            new.row.save(update_fields=["expires_at"])
        return new


def _session(role: str) -> Client:
    client = Client()
    client.force_login(user_in(role))
    return client


@cache  # a client takes ten times as long to begin as to ask
def _with_key(text: str | None) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"} if text else {})


def _asked(row: Row, world: dict[str, Any], client: Client) -> Any:
    """Ask, and take back whatever it did."""
    path = f"/{PREFIX}{filled(row.path, world).lstrip('/')}"
    body = "" if row.body is None else json.dumps(filled(row.body, world))
    with transaction.atomic():
        answer = client.generic(row.method, path, body, "application/json")
        if answer.streaming:
            b"".join(answer.streaming_content)
        transaction.set_rollback(True)
    return answer


def _said_badly(row: Row, caller: str, answer: Any) -> list[str]:
    """Return what is wrong with how a refusal is said."""
    body = answer.json()
    check_problem(answer, body)
    codes = {
        "no key": "not_authenticated", "expired": "authentication_failed", "revoked": "authentication_failed",
        "wrong scope": "scope_missing", VIEWER: "permission_denied", OPERATOR: "permission_denied",
    }  # fmt: skip
    if caller in codes and body["code"] != codes[caller]:
        return [f"{row.operation}, {caller}: the code is {body['code']}"]
    if caller == "wrong scope" and not all(scope in body["detail"] for scope in least_scopes(row.permissions)):
        return [f"{row.operation}: the scope is not named in {body['detail']!r}"]
    return []


def _shows_something(answer: Any, world: dict[str, Any]) -> bool:
    text, rows = answer.content.decode(), answer.json().get("data", [])
    ids = [str(value) for value in world.values() if not isinstance(value, int) and value != "main"]
    return any(one in text for one in ids) or any(row["id"] in world.values() for row in rows if "id" in row)


@pytest.mark.django_db
def test_each_scope_opens_what_it_is_for_and_nothing_else(world: dict[str, Any]) -> None:
    clients = {scope: _with_key(make_key(name=scope, scopes=[scope]).text) for scope in SCOPES}
    wrong = []
    for row in (one for one in ROWS if not one.open):
        for scope, client in clients.items():
            status = _asked(row, world, client).status_code
            allowed = set(row.permissions) <= permissions_of([scope])
            if (status < 300) != allowed:
                wrong.append(f"{row.operation} with a key for {scope}: {status}")
    assert wrong == []


# --- the rows -------------------------------------------------------------------------------------------
def operations() -> Iterator[str]:
    """Yield every operation that the URL conf has under the API."""
    for pattern, callback in _walk(get_resolver().url_patterns, ""):
        if not pattern.startswith(PREFIX) or pattern == PREFIX:
            continue
        for method in _methods(callback):
            yield normal(method, pattern.removeprefix(PREFIX))


def _walk(patterns: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for one in patterns:
        text = prefix + str(one.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(one, URLResolver):
            yield from _walk(one.url_patterns, text)
        else:
            yield text, one.callback


def _methods(callback: Any) -> list[str]:
    if hasattr(callback, "actions"):
        return [method.upper() for method in callback.actions if method != "head"]
    kind = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    known = ("get", "post", "put", "patch", "delete")
    return [method.upper() for method in known if hasattr(kind, method)] if kind else ["ANY"]


@pytest.mark.databaseless
def test_every_operation_has_a_row() -> None:
    there, listed = set(operations()), {row.key for row in ROWS}
    assert "POST /destinations/{}/check" in there

    missing = [f'    Row("{one}", "<app.permission>", other=404),' for one in sorted(there - listed)]
    gone = sorted(listed - there)

    assert missing == [], "Add these to ROWS in tests/api_matrix.py:\n" + "\n".join(missing)
    assert gone == [], f"Take these out of ROWS in tests/api_matrix.py: the API has no such operation: {gone}"
    assert len(listed) == len(ROWS), "An operation has two rows in tests/api_matrix.py."


@pytest.mark.databaseless
def test_the_page_shows_the_table() -> None:
    text = PAGE.read_text()
    assert text == page(text), "Write it anew: python -m tests.api_matrix"


@pytest.mark.databaseless
def test_no_row_hands_out_what_no_scope_gives() -> None:
    assert [row.operation for row in ROWS if row.permissions and not row.scopes] == []
    assert set(CALLERS) == set(ROWS[-1].expected())
