"""What can be done with a destination over the API beside making and changing it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from destinations.models import Destination
from destinations.notices import tell_disabled
from destinations.registry import adapter_classes
from tests.api_support import (
    CANARY,
    Api,
    history,
    make_database,
    make_destination,
    make_event,
    make_source,
    messages,
    stored,
)
from tests.control_support import key_api
from tests.sink import Sink
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


# --- enable and disable -----------------------------------------------------------------------------
def test_disabling_says_why_and_enabling_starts_afresh(api: Api) -> None:
    destination = make_destination()
    path = f"destinations/{destination.pk}"
    Destination.objects.update(consecutive_failures=7, failing_since=timezone.now())

    disabled = api.post(f"{path}/disable", {"reason": "moved to another cloud"})
    again = api.post(f"{path}/disable", {"reason": "twice"})
    enabled = api.post(f"{path}/enable")

    assert (disabled["active"], disabled["disabled_reason"]) == (False, "moved to another cloud")
    assert again["disabled_reason"] == "moved to another cloud"
    assert (enabled["active"], enabled["disabled_reason"], enabled["consecutive_failures"]) == (True, "", 0)
    assert enabled["failing_since"] is None
    assert history(destination) == ["created", "disabled: moved to another cloud", "enabled"]


def test_without_a_reason_it_says_by_whom(api: Api) -> None:
    destination = make_destination()

    assert api.post(f"destinations/{destination.pk}/disable")["disabled_reason"] == f"Disabled by {api.user}."
    problem = api.post(f"destinations/{destination.pk}/disable", {"reason": "x" * 201}, 400)
    assert messages(problem).keys() == {"reason"}


def test_a_change_forgets_failures_and_lets_deliveries_try_again(api: Api) -> None:
    destination = make_destination()
    later = timezone.now() + timedelta(hours=1)
    Destination.objects.update(
        consecutive_failures=7, failing_since=timezone.now(), paused_until=later, pause_reason="breaker"
    )

    changed = api.patch(f"destinations/{destination.pk}", {"name": "renamed"})

    fresh = {"consecutive_failures": 0, "failing_since": None, "paused_until": None, "pause_reason": ""}
    assert {name: changed[name] for name in fresh} == fresh
    assert stored(destination).failing_since is None


# --- checking before saving ---------------------------------------------------------------------------
def draft(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "webhook", "config": {"url": url}, **more}


def test_a_draft_is_tried_and_nothing_of_it_is_kept(api: Api, sink: Sink) -> None:
    checked = api.post("destinations/check", draft(sink.url("/draft")))

    assert checked["check_passed"] is True, checked
    assert {step["status"] for step in checked["check_steps"]} <= {"passed", "warning", "skipped"}
    assert checked["checked_at"]
    assert sink.count("/draft") == 1
    assert not Destination.objects.exists()


def test_a_draft_that_fails_says_where_and_keeps_its_secret(api: Api, sink: Sink) -> None:
    sink.behave("/closed", status=401, body=f"no: {CANARY}")
    body = {"url": sink.url("/closed"), "auth": "bearer"}

    checked = api.post("destinations/check", {"type": "webhook", "config": body, "credentials": {"token": f"{CANARY}"}})

    assert checked["check_passed"] is False
    assert CANARY not in str(checked)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (draft("http://10.0.0.1/"), {"config.url"}),
        (draft("no url"), {"config.url"}),
        ({"type": "fax", "config": {}}, {"type"}),
        ({"config": {}}, {"type"}),
        (draft("http://127.0.0.1:18999/", name="x"), {"name"}),
        (draft("http://127.0.0.1:18999/", credentials=[]), {"credentials"}),
    ],
)
def test_a_draft_that_could_not_be_saved_is_refused(api: Api, body: dict[str, Any], fields: set[str]) -> None:
    assert messages(api.post("destinations/check", body, 400)).keys() == fields


def test_a_draft_needs_what_making_and_checking_need() -> None:
    for missing in ("destinations.add_destination", "destinations.check_destination"):
        others = {"destinations.add_destination", "destinations.check_destination"} - {missing}
        Api(*others).post("destinations/check", draft("http://127.0.0.1:18999/"), 403)
    assert key_api("destinations:write").post("destinations/check", draft("http://127.0.0.1:18999/"))["check_steps"]


def test_a_check_on_trial_is_carried_out_and_not_noted(api: Api, sink: Sink) -> None:
    destination = make_destination(config={"url": sink.url("/trial")})

    checked = api.post(f"destinations/{destination.pk}/check?dry_run=true")

    assert checked["check_passed"] is True
    assert stored(destination).checked_at is None


# --- the other side -----------------------------------------------------------------------------------
def test_the_set_up_of_the_other_side_is_what_the_admin_shows(api: Api) -> None:
    tables = make_database(username="terra_writer")

    shown = api.get(f"destinations/{tables.pk}/setup")

    parts = {part["name"]: part for part in shown["parts"]}
    assert "terra_writer" in parts["steps"]["text"]
    assert "GRANT" in parts["steps"]["text"]
    assert shown["missing"] == []
    assert all(part["label"] for part in shown["parts"])
    assert CANARY not in str(shown)


def test_types_can_be_asked_for_one_by_one(api: Api) -> None:
    listed = {one["type"]: one for one in api.get("destination-types")["data"]}

    for kind in adapter_classes():
        assert api.get(f"destination-types/{kind.type}") == listed[kind.type]
        for field in (*listed[kind.type]["config"], *listed[kind.type]["credentials"]):
            assert field.keys() >= {"name", "label", "help", "required", "secret", "choices"}
    assert "webhook" in api.get("destination-types/fax", 404)["detail"]


# --- notices --------------------------------------------------------------------------------------------
def test_notices_of_a_destination_are_listed_page_by_page(api: Api) -> None:
    destination, other = make_destination(), make_destination("other")
    made = [tell_disabled(destination) for _ in range(3)]
    tell_disabled(other)

    first = api.get(f"destinations/{destination.pk}/notices", limit=2)
    rest = api.get(f"destinations/{destination.pk}/notices", limit=2, cursor=first["next_cursor"])

    assert [row["id"] for row in first["data"] + rest["data"]] == [row.pk for row in reversed(made)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert first["data"][0]["kind"] == "disabled"
    assert api.get(f"destinations/{destination.pk}/notices", 400, colour="red")
    assert Api("destinations.view_destination").get(f"destinations/{destination.pk}/notices", 403)


# --- test events ----------------------------------------------------------------------------------------
def test_a_test_event_goes_to_this_destination_only(api: Api) -> None:
    make_source()
    destination, _ = make_destination(), make_destination("other")

    sent = api.post(f"destinations/{destination.pk}/test", status=202)

    (delivery,) = Delivery.objects.all()
    assert sent == {"delivery_id": delivery.pk, "event_id": str(delivery.event_id)}
    assert (delivery.destination, delivery.trigger, delivery.event.type) == (destination, "test", "healthcheck")


def test_the_last_real_event_of_a_type_can_be_the_test(api: Api) -> None:
    destination = make_destination()
    make_event(type="sleep")
    last = make_event(type="sleep")

    sent = api.post(f"destinations/{destination.pk}/test", {"event_type": "sleep"}, 202)

    assert sent["event_id"] == str(last.pk)
    none = api.post(f"destinations/{destination.pk}/test", {"event_type": "body"}, 400)
    assert messages(none).keys() == {"event_type"}


def test_a_test_that_cannot_be_sent_says_why(api: Api) -> None:
    destination = make_destination(active=False)
    path = f"destinations/{destination.pk}/test"

    assert "source" in api.post(path, status=400)["hint"]
    make_source()
    assert api.post(path, status=409)["code"] == "destination_disabled"
    assert not Event.objects.exists()


# --- finding --------------------------------------------------------------------------------------------
def test_destinations_are_found_by_name_state_and_by_what_they_take(api: Api) -> None:
    make_source("eu")
    make_destination("Everything")
    make_destination("Sleep of Europe", event_types=["sleep"], sources=["eu"])
    make_destination("Paused", paused=True, event_types=["body"])
    make_destination("Off", active=False, event_types=["body"])
    Destination.objects.filter(name="Everything").update(failing_since=timezone.now())

    def names(**query: str) -> set[str]:
        return {row["name"] for row in api.get("destinations", **query)["data"]}

    assert names(name="SLEEP") == {"Sleep of Europe"}
    assert names(event_type="sleep") == {"Everything", "Sleep of Europe"}
    assert names(source="us") == {"Everything", "Paused", "Off"}
    assert names(source="eu", event_type="sleep", name="e") == {"Everything", "Sleep of Europe"}
    assert names(state="failing") == {"Everything"}
    assert names(state="paused") == {"Paused"}
    assert names(state="disabled") == {"Off"}
    assert messages(api.get("destinations", 400, state="sad")).keys() == {"state"}


# --- on trial -------------------------------------------------------------------------------------------
def test_a_trial_disables_nothing_and_sends_no_test(api: Api) -> None:
    make_source()
    destination = make_destination()
    path = f"destinations/{destination.pk}"

    assert api.post(f"{path}/disable?dry_run=true", {"reason": "maybe"})["active"] is False
    assert api.post(f"{path}/test?dry_run=true", status=202)["delivery_id"]

    assert stored(destination).active
    assert not Delivery.objects.exists()
    assert history(destination) == ["created"]
