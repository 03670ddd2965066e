"""Who did what, when: of destinations, sources, users, groups and payloads; in words, and without any secret."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User

from tests.admin_support import EVENTS, Page, Person, page_of
from tests.api_support import CANARY, Api, make_database, make_destination, make_event, make_source, make_user
from tests.roles_support import PersonIn

pytestmark = pytest.mark.django_db


def history_of(ana: Person, obj: Any) -> Page:
    return ana.get(page_of(obj).replace("/change/", "/history/"))


def form_of(page: Page) -> dict[str, Any]:
    """Return what the page's form would send: its text fields, and the boxes that are ticked."""
    values: dict[str, Any] = {}
    for field in page.find("input"):
        name, kind = field.get("name"), field.get("type", "text")
        if not name or kind in ("submit", "hidden") or (kind in ("checkbox", "radio") and "checked" not in field):
            continue
        values.setdefault(name, []).append(field.get("value") or "")
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}


def test_a_change_of_a_destination_names_the_field_and_both_values() -> None:
    row = make_database(name="Warehouse")
    api = Api("destinations.change_destination")
    values = {"config": {"database": "archive"}, "credentials": {"password": CANARY + "-2"}, "event_types": ["sleep"]}
    api.patch(f"destinations/{row.pk}", values)

    page = history_of(Person(), row)

    for words in (
        "Config, database : health → archive", "Event types : – → sleep", api.user.get_username(), "password",
        "Of secrets only their names",
    ):  # fmt: skip
        assert words in page.text, words
    assert CANARY not in page.source
    assert "Version" not in page.text


def test_a_change_of_a_source_names_the_field_and_both_values() -> None:
    source = make_source()
    ana = Person()
    values = form_of(ana.look(source)) | {"tolerance_s": "600"}
    ana.post(page_of(source), **values)
    ana.press(source, "replace_secret", secret="another-secret-CANARY", grace_s="0")

    page = history_of(ana, source)

    assert "Tolerance s : 300 → 600" in page.text
    assert "signing secret added" in page.text
    assert "CANARY" not in page.source


def test_a_change_of_a_user_says_what_was_given_and_taken_and_no_password() -> None:
    ana, ben = PersonIn("admin"), make_user()
    operators = Group.objects.get(name="operator")
    values = form_of(ana.look(ben)) | {"email": "ben@example.org", "groups": [operators.pk]}
    values.pop("is_staff", None)
    ana.post(page_of(ben), **values)
    ana.post(
        f"/admin/auth/user/{ben.pk}/password/",
        usable_password="true",
        password1="CANARY-pass-1",
        password2="CANARY-pass-1",
    )

    page = history_of(ana, ben)

    for words in (
        "Email address: empty → ben@example.org.",
        "Groups: + operator.",
        "Staff status: yes → no.",
        ana.user.get_username(),
    ):
        assert words in page.text, words
    assert "assword" in page.text
    assert "CANARY" not in page.source


def test_a_change_of_a_group_names_each_permission() -> None:
    ana = PersonIn("admin")
    group = Group.objects.get(name="viewer")
    boxes = form_of(ana.look(group))
    kept = boxes["permissions"][1:]
    ana.post(page_of(group), name="lookers", permissions=kept)

    page = history_of(ana, group)

    assert "Name: viewer → lookers." in page.text
    assert "Permissions: − Can view destination (destinations.view_destination)." in page.text
    assert group.permissions.count() == len(kept)


def test_a_permission_that_the_form_does_not_offer_is_not_lost() -> None:
    ana, ben = Person(), make_user("sessions.view_session")
    ana.post(page_of(ben), **form_of(ana.look(ben)))
    assert ben.user_permissions.get().codename == "view_session"


def test_who_looked_at_a_payload_is_found_in_the_events_history() -> None:
    event = make_event(body=b'{"type":"daily"}')
    ana = Person()
    ana.get(f"{EVENTS}{event.pk}/payload/")
    api = Api("webhooks.view_event", "webhooks.view_payload")
    answer = api.client.get(f"/api/v1/events/{event.pk}/payload")
    assert b"".join(answer.streaming_content) == b'{"type":"daily"}'

    page = history_of(ana, event)

    for words in (
        ana.user.get_username(),
        "Payload viewed.",
        api.user.get_username(),
        "Payload downloaded over the API.",
    ):
        assert words in page.text, words


def test_somebody_whom_the_history_names_is_made_inactive_and_not_deleted() -> None:
    ana, ben, new = Person(), Person(), make_user()
    ben.get(f"{EVENTS}{make_event().pk}/payload/")

    ana.post(f"/admin/auth/user/{ben.user.pk}/delete/", post="yes")
    ana.post(f"/admin/auth/user/{new.pk}/delete/", post="yes")

    assert User.objects.filter(pk=ben.user.pk).exists()
    assert not User.objects.filter(pk=new.pk).exists()
    assert "Make them inactive instead" in ana.get(f"/admin/auth/user/{ben.user.pk}/delete/").text


def test_before_somebody_or_a_group_is_deleted_they_are_named_and_not_what_refers_to_them() -> None:
    ana, ben = Person(), make_user()
    group = Group.objects.get(name="operator")
    group.user_set.add(ben)
    LogEntry.objects.bulk_create(
        LogEntry(user=ben, action_flag=2, object_repr=f"row {number}", change_message="") for number in range(50)
    )

    pages = [ana.get(f"/admin/auth/{kind}/delete/") for kind in (f"user/{ben.pk}", f"group/{group.pk}")]

    for page, name in zip(pages, (ben.username, "operator"), strict=True):
        assert name in page.text
        assert "row 7" not in page.source
        assert "relationship" not in page.text
    ana.post(f"/admin/auth/group/{group.pk}/delete/", post="yes")
    assert not Group.objects.filter(pk=group.pk).exists()


# --- what cannot be taken back is asked, and what can be is offered ------------------------------
@pytest.mark.parametrize(
    ("button", "back", "column", "value"), [("pause", "resume", "paused", True), ("disable", "enable", "active", False)]
)
def test_what_was_pressed_can_be_undone_from_the_message(button: str, back: str, column: str, value: bool) -> None:
    row = make_destination()
    ana = Person()

    page = ana.press(row, button)

    row.refresh_from_db()
    assert getattr(row, column) is value
    (undo,) = [found for found in page.find("button", form="hub-post") if "Undo" in page.source]
    assert str(undo["formaction"]).endswith(f"/do/{back}/")
    ana.post(str(undo["formaction"]))
    row.refresh_from_db()
    assert getattr(row, column) is not value
    assert back + "d" in history_of(ana, row).text.lower()


def test_undo_is_offered_to_those_only_who_may() -> None:
    page = Person("destinations.view_destination", "destinations.pause_destination").press(make_destination(), "pause")
    assert page.find("button", form="hub-post")
    page = PersonIn("operator").press(make_destination("other"), "pause")
    assert page.find("button", form="hub-post")


def test_a_destination_is_deleted_by_typing_its_name() -> None:
    row = make_destination("Ware  house")
    ana = Person()
    url = page_of(row).replace("/change/", "/delete/")

    assert "Type its name to delete it: Ware house" in ana.get(url).text
    for typed in ("", "ware house", "Ware"):
        assert "Nothing was deleted" in ana.post(url, post="yes", typed=typed).text
    row.refresh_from_db()
    assert row.deleted_at is None

    ana.post(url, post="yes", typed=" Ware house ")
    row.refresh_from_db()
    assert row.deleted_at
    assert "deleted" in history_of(ana, row).text.lower()
