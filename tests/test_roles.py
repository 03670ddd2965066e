"""Roles: what a viewer, an operator and an admin may do, on every page, button, action and call."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.test import Client

from destinations.access.keys import make_key
from terra_hub.roles import ADMIN, OPERATOR, ROLES, VIEWER, make_roles, remove_roles
from tests.admin_support import page_of
from tests.api_support import CANARY, make_attempt, make_database, make_delivery, make_event, make_source, make_user
from tests.roles_support import PersonIn, user_in
from webhooks.models import Delivery, Erasure, QuarantinedRequest, Replay

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]

EVERYBODY, OPERATORS, ADMINS = {VIEWER, OPERATOR, ADMIN}, {OPERATOR, ADMIN}, {ADMIN}
BODY = b'{"type":"daily","heart_rate":"BODY-CANARY-61"}'

# What is asked for, and who gets it. GET shows a page; POST presses a button, or calls the API.
MATRIX: list[tuple[str, str, set[str]]] = [
    ("GET", "/admin/", EVERYBODY),
    ("GET", "/admin/webhooks/source/", EVERYBODY),
    ("GET", "{source}/change/", EVERYBODY),
    ("GET", "{source}/history/", EVERYBODY),
    ("GET", "/admin/webhooks/event/", EVERYBODY),
    ("GET", "{event}/change/", EVERYBODY),
    ("GET", "{event}/history/", EVERYBODY),
    ("GET", "/admin/webhooks/delivery/", EVERYBODY),
    ("GET", "{delivery}/change/", EVERYBODY),
    ("GET", "/admin/webhooks/quarantinedrequest/", EVERYBODY),
    ("GET", "{item}/change/", EVERYBODY),
    ("GET", "/admin/destinations/destination/", EVERYBODY),
    ("GET", "{destination}/change/", EVERYBODY),
    ("GET", "{destination}/history/", EVERYBODY),
    ("POST", "{item}/do/verify/", EVERYBODY),
    ("GET", "/admin/webhooks/replay/", EVERYBODY),
    ("GET", "{replay}/change/", EVERYBODY),
    ("GET", "/admin/destinations/notice/", EVERYBODY),
    ("GET", "/health", EVERYBODY),
    ("GET", "/admin/live/", EVERYBODY),
    ("GET", "/api/v1/events", EVERYBODY),
    ("GET", "/api/v1/deliveries", EVERYBODY),
    ("GET", "/api/v1/deliveries/{delivery_id}/attempts", EVERYBODY),
    ("GET", "/api/v1/replays/{replay_id}", EVERYBODY),
    ("GET", "/api/v1/quarantine/{item_id}", EVERYBODY),
    ("POST", "/api/v1/quarantine/{item_id}/verify", EVERYBODY),
    ("GET", "/api/v1/destinations", EVERYBODY),
    ("GET", "/api/v1/destination-types", EVERYBODY),
    # payloads
    ("GET", "{event}/payload/", OPERATORS),
    ("GET", "{event}/payload/raw/", OPERATORS),
    ("GET", "{item}/payload/", OPERATORS),
    ("GET", "{item}/payload/raw/", OPERATORS),
    ("GET", "/api/v1/events/{event_id}/payload", OPERATORS),
    # sending again, holding back, looking into
    ("POST", "{event}/do/resend/", OPERATORS),
    ("POST", "{delivery}/do/resend/", OPERATORS),
    ("POST", "{waiting}/do/cancel/", OPERATORS),
    ("POST", "{destination}/do/check/", OPERATORS),
    ("POST", "{destination}/do/pause/", OPERATORS),
    ("POST", "{destination}/do/resume/", OPERATORS),
    ("POST", "{item}/do/admit/", OPERATORS),
    ("GET", "/admin/webhooks/replay/add/", OPERATORS),
    ("POST", "{replay}/do/pause/", OPERATORS),
    ("POST", "{replay}/do/resume/", OPERATORS),
    ("POST", "{replay}/do/cancel/", OPERATORS),
    ("POST", "/api/v1/events/{event_id}/resend", OPERATORS),
    ("POST", "/api/v1/deliveries/{delivery_id}/resend", OPERATORS),
    ("POST", "/api/v1/deliveries/{waiting_id}/cancel", OPERATORS),
    ("POST", "/api/v1/replays", OPERATORS),
    ("POST", "/api/v1/replays/{replay_id}/pause", OPERATORS),
    ("POST", "/api/v1/quarantine/{item_id}/admit", OPERATORS),
    ("GET", "/api/v1/quarantine/{item_id}/body", OPERATORS),
    ("POST", "/api/v1/destinations/{destination_id}/check", OPERATORS),
    ("POST", "/api/v1/destinations/{destination_id}/pause", OPERATORS),
    ("POST", "/api/v1/destinations/{destination_id}/resume", OPERATORS),
    # settings
    ("GET", "/admin/webhooks/source/add/", ADMINS),
    ("POST", "{source}/do/replace_secret/", ADMINS),
    ("GET", "/admin/destinations/destination/add/", ADMINS),
    ("GET", "/admin/destinations/destination/add/?type=postgres", ADMINS),
    ("POST", "/admin/destinations/destination/add/check/?type=postgres", ADMINS),
    ("POST", "{destination}/change/", ADMINS),
    ("POST", "{destination}/do/disable/", ADMINS),
    ("POST", "{destination}/do/enable/", ADMINS),
    ("POST", "{destination}/do/revoke_links/", ADMINS),
    ("POST", "{destination}/do/rotate_secret/", ADMINS),
    ("GET", "{destination}/delete/", ADMINS),
    ("POST", "/api/v1/destinations", ADMINS),
    ("PATCH", "/api/v1/destinations/{destination_id}", ADMINS),
    ("POST", "/api/v1/destinations/{destination_id}/rotate-secret", ADMINS),
    ("POST", "/api/v1/destinations/{destination_id}/revoke-links", ADMINS),
    ("DELETE", "/api/v1/destinations/{destination_id}", ADMINS),
    ("GET", "/admin/destinations/apikey/", ADMINS),
    ("GET", "/admin/destinations/apikey/add/", ADMINS),
    ("POST", "/admin/destinations/apikey/add/", ADMINS),
    ("GET", "{key}/change/", ADMINS),
    ("GET", "{key}/history/", ADMINS),
    ("POST", "{key}/do/revoke/", ADMINS),
    ("GET", "/api/v1/api-keys", ADMINS),
    ("POST", "/api/v1/api-keys", ADMINS),
    ("DELETE", "/api/v1/api-keys/{key_id}", ADMINS),
    # erasing people
    ("GET", "/admin/webhooks/erasure/", EVERYBODY),
    ("GET", "{erasure}/change/", EVERYBODY),
    ("GET", "{erasure}/receipt/", EVERYBODY),
    ("GET", "/admin/webhooks/erasure/add/", ADMINS),
    ("POST", "/admin/webhooks/erasure/add/", ADMINS),
    ("POST", "{erasure}/do/lift/", ADMINS),
    ("POST", "{erasure}/do/cancel/", ADMINS),
    ("GET", "/api/v1/erasures", EVERYBODY),
    ("POST", "/api/v1/erasures", ADMINS),
    ("POST", "/api/v1/erasures/{erasure_id}/cancel", ADMINS),
    # people
    ("GET", "/admin/auth/user/", ADMINS),
    ("GET", "/admin/auth/user/add/", ADMINS),
    ("GET", "{user}/change/", ADMINS),
    ("GET", "{user}/history/", ADMINS),
    ("GET", "/admin/auth/group/", ADMINS),
    ("GET", "/admin/axes/accessattempt/", ADMINS),
]


@pytest.fixture
def places() -> dict[str, Any]:
    """One of everything, and where it is."""
    destination, event = make_database(), make_event(body=BODY)
    delivery = make_delivery(event, destination, "dead", last_error_code="42501")
    make_attempt(delivery, 1)
    item = QuarantinedRequest.objects.create(
        source=make_source(), reason="signature_mismatch", body=BODY, size=len(BODY), received_at=event.received_at
    )
    named = {"destination": destination, "event": event, "delivery": delivery, "item": item, "user": make_user()}
    named["source"] = event.source
    named["key"] = make_key(name="CI", scopes=["events:read"]).row
    named["waiting"] = make_delivery(event, make_database("second"))
    named["replay"] = Replay.objects.create(
        kind="failed", destination_ids=[str(destination.pk)], created_at=event.received_at
    )
    named["erasure"] = Erasure.objects.create(
        status="done", receipt={"form": "x"}, starts_at=event.received_at, created_at=event.received_at
    )
    return {name: page_of(row).removesuffix("/change/") for name, row in named.items()} | {
        f"{name}_id": row.pk for name, row in named.items()
    }


def ask(client: Client, method: str, path: str) -> Any:
    if method == "GET":
        return client.get(path)
    kind = "application/json" if path.startswith("/api/") else "application/x-www-form-urlencoded"
    return client.generic(method, path, "{}" if path.startswith("/api/") else "", kind)


@pytest.mark.parametrize("role", [VIEWER, OPERATOR, ADMIN])
def test_each_role_gets_what_is_its_own_and_nothing_else(role: str, places: dict[str, Any]) -> None:
    wrong = []
    for method, path, allowed in MATRIX:
        # A log-in of its own each: what was pressed before leaves nothing behind on its pages.
        client = Client()
        client.force_login(user_in(role))
        status = ask(client, method, path.format(**places)).status_code
        assert status < 500
        if (status != 403) != (role in allowed):
            wrong.append((method, path, status))
    assert wrong == []


@pytest.mark.parametrize("role", [VIEWER, OPERATOR, ADMIN])
def test_nobody_is_shown_a_secret_and_a_viewer_no_payload(role: str, places: dict[str, Any]) -> None:
    ana = PersonIn(role)
    for method, path, allowed in MATRIX:
        if method == "GET" and role in allowed:
            answer = ana.client.get(path.format(**places))
            text = (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()
            assert CANARY not in text, path
            assert role != VIEWER or "BODY-CANARY-61" not in text, path


def buttons(places: dict[str, Any], role: str, place: str) -> set[str]:
    page = PersonIn(role).get(f"{places[place]}/change/")
    actions = (str(form["action"]) for form in page.find("form") if "/do/" in str(form.get("action")))
    return {action.rstrip("/").rpartition("/")[2] for action in actions}


def test_a_button_is_shown_to_those_only_who_may_press_it(places: dict[str, Any]) -> None:
    for role in (VIEWER, OPERATOR, ADMIN):
        for place in ("source", "event", "delivery", "item", "destination"):
            pressed = {
                path.split("/do/")[1].rstrip("/"): allowed
                for _, path, allowed in MATRIX
                if path.startswith(f"{{{place}}}/do/")
            }
            for shown in buttons(places, role, place):
                assert shown not in pressed or role in pressed[shown], (role, place, shown)
    assert buttons(places, VIEWER, "delivery") == set()
    assert "resend" in buttons(places, OPERATOR, "delivery")
    assert "pause" in buttons(places, OPERATOR, "destination")


def test_a_viewer_changes_nothing_by_a_list_action_either(places: dict[str, Any]) -> None:
    values = {"action": "resend_chosen", "_selected_action": [places["delivery_id"]]}
    for role in (VIEWER, OPERATOR):
        PersonIn(role).client.post("/admin/webhooks/delivery/", values)
        row = Delivery.objects.get(pk=places["delivery_id"])
        assert row.status == ("dead" if role == VIEWER else "pending")


# --- the migration --------------------------------------------------------------------------------
@pytest.fixture
def empty() -> Iterator[None]:
    """Before the migration: no group, and no permission row either, as on an empty database."""
    Group.objects.all().delete()
    Permission.objects.all().delete()
    yield
    make_roles(apps, "default")


def held(name: str) -> set[str]:
    pairs = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in pairs}


@pytest.mark.usefixtures("empty")
def test_the_migration_makes_the_groups_on_an_empty_database_and_once_only() -> None:
    make_roles(apps, "default")
    make_roles(apps, "default")

    assert {name: held(name) for name in ROLES} == {name: set(names) for name, names in ROLES.items()}
    assert Group.objects.count() == len(ROLES)


@pytest.mark.usefixtures("empty")
def test_a_group_that_somebody_has_changed_stays_as_it_is() -> None:
    make_roles(apps, "default")
    changed = Group.objects.get(name=OPERATOR)
    changed.permissions.remove(*Permission.objects.filter(codename="view_payload"))

    make_roles(apps, "default", before=ROLES)
    assert "webhooks.view_payload" not in held(OPERATOR)

    remove_roles(apps, "default")
    assert [group.name for group in Group.objects.all()] == [OPERATOR]


@pytest.mark.usefixtures("empty")
def test_taking_the_migration_back_leaves_people_their_group() -> None:
    ana = user_in(VIEWER)

    remove_roles(apps, "default")

    assert [group.name for group in ana.groups.all()] == [VIEWER]
    assert Group.objects.count() == 1


@pytest.mark.usefixtures("empty")
def test_a_role_that_grows_grows_where_nobody_has_changed_it() -> None:
    make_roles(apps, "default")
    before = {**ROLES, VIEWER: ROLES[VIEWER] - {"webhooks.view_replay"}}
    group = Group.objects.get(name=VIEWER)
    group.permissions.remove(*Permission.objects.filter(codename="view_replay"))

    make_roles(apps, "default", before=before)

    assert held(VIEWER) == ROLES[VIEWER]


def test_no_permission_of_the_table_is_misspelt() -> None:
    make_roles(apps, "default")
    pairs = Permission.objects.values_list("content_type__app_label", "codename")
    known = {f"{app}.{codename}" for app, codename in pairs}
    assert frozenset().union(*ROLES.values()) <= known
