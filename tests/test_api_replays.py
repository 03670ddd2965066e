"""Replays over the API: estimated, started, carried on by a worker, looked at, paused, resumed, cancelled."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from destinations import services
from tests.api_support import Api, make_delivery, make_destination, make_source, messages
from tests.delivering.log import statuses
from tests.hub import Hub, until
from tests.keys_support import api_of, new_key
from tests.replays.conftest import one_sink, sink
from tests.replays.stage import carried_on, failed, fresh, ids, seed, sent
from tests.sink import Sink
from webhooks.keeping import replays
from webhooks.models import Delivery, Replay

__all__ = ["one_sink", "sink"]
pytestmark = pytest.mark.django_db

NOBODY = "01a20a6f-c2ec-7047-87b3-6cff4e9b9dc4"


@pytest.fixture
def api() -> Api:
    return Api("webhooks.view_replay", "webhooks.add_replay", "webhooks.change_replay", "webhooks.view_delivery")


@pytest.mark.django_db(transaction=True)
def test_a_script_estimates_starts_and_follows_a_replay_until_a_worker_has_done_it(hub: Hub, sink: Sink) -> None:
    header = {"Authorization": f"Bearer {new_key('deliveries:write').text}", "Content-Type": "application/json"}

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = hub.server.request(method, f"/api/v1/{path}", json.dumps(body).encode() if body else None, header)
        return answer.status, answer.json

    hook = hub.webhook(sink.url("/hook"), name="Clinic")
    events = seed(hub.source, 40)
    asked = {"kind": "missing", "destinations": [str(hook.pk)], "since": "2026-03-12T00:00:00Z"}

    status, estimate = call("POST", "replays?dry_run=true", asked)
    assert (status, estimate["count"], estimate["exact"], estimate["confirm"]) == (200, 40, True, False)
    (to,) = estimate["destinations"]
    assert (to["id"], to["name"], to["count"]) == (str(hook.pk), "Clinic", 40)
    assert to["on_repeat"].startswith("The receiver gets it again, with the same webhook-id")
    assert Replay.objects.count() == Delivery.objects.count() == 0

    status, started = call("POST", "replays", asked)
    assert (status, started["status"], started["progress"]["percent"]) == (202, "running", 0)
    hub.worker()

    def shown() -> Any:
        return call("GET", f"replays/{started['id']}")[1]

    until(lambda: shown()["status"] == "done")
    done = shown()["progress"]
    assert {name: done[name] for name in ("percent", "queued", "done", "delivered", "failed", "left")} == {
        "percent": 100, "queued": 40, "done": 40, "delivered": 40, "failed": 0, "left": 0,
    }  # fmt: skip
    assert sent(sink) == ids(events)
    assert "API key deploy script" in shown()["created_by"]


def test_a_dry_run_says_what_would_be_sent_and_starts_nothing(api: Api) -> None:
    clinic = make_destination("Clinic")
    make_destination("Other", event_types=["sleep"])
    one, *_ = seed(make_source(), 3)
    seed(make_source(), 2, type="sleep", at=timezone.now() - timedelta(hours=1))
    make_delivery(one, clinic, "delivered")
    before = statuses()

    shown = api.post("replays?dry_run=true", {"kind": "matching", "rate_per_s": 2})

    assert (shown["count"], shown["exact"], shown["delivered"]) == (7, True, 1)
    assert {to["name"]: to["count"] for to in shown["destinations"]} == {"Clinic": 5, "Other": 2}
    assert (shown["per_s"], shown["left_s"], shown["eta"] > timezone.now().isoformat()) == (2.0, 4, True)
    assert shown["speed_unknown"] == ["Clinic", "Other"]
    assert (Replay.objects.count(), statuses()) == (0, before)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"kind"}),
        ({"kind": "everything"}, {"kind"}),
        ({"kind": "matching", "error_code": "timeout"}, {"error_code"}),
        ({"kind": "matching", "colour": "red"}, {"colour"}),
        ({"kind": "matching", "type": "sleep"}, {"type"}),
        ({"kind": "chosen", "events": [NOBODY], "data_type": "sleep"}, {"data_type"}),
        ({"kind": "matching", "since": "2026-03-13T00:00:00Z", "until": "2026-03-12T00:00:00Z"}, {"until"}),
        ({"kind": "matching", "since": "yesterday", "rate_per_s": 0}, {"since", "rate_per_s"}),
        ({"kind": "matching", "source": "nowhere"}, {"source"}),
        ({"kind": "failed"}, {"destinations"}),
        ({"kind": "chosen"}, {"deliveries"}),
        ({"kind": "chosen", "deliveries": [0]}, {"deliveries.0"}),
        ({"kind": "chosen", "events": ["x"]}, {"events.0"}),
        ({"kind": "chosen", "events": [NOBODY], "user_id": "a\x00b"}, {"user_id"}),
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_selection_that_makes_no_sense_is_refused_by_its_fields(
    api: Api, body: Any, fields: set[str], query: str
) -> None:
    seed(make_source(), 1)

    assert messages(api.post(f"replays{query}", body, 400)).keys() == fields


def test_what_would_send_nothing_is_refused_also_as_a_dry_run(api: Api) -> None:
    hook = make_destination("Clinic")
    asked = {"kind": "failed", "destinations": [str(hook.pk)]}

    for query in ("", "?dry_run=true"):
        assert api.post(f"replays{query}", asked, 409)["code"] == "nothing_selected"
    services.disable(hook)
    problem = api.post("replays?dry_run=true", asked, 409)
    assert (problem["code"], "Clinic" in problem["detail"]) == ("destination_inactive", True)
    assert api.post("replays", {**asked, "destinations": [NOBODY]}, 404)["code"] == "not_found"


def test_a_large_count_has_to_be_confirmed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "COUNTED", 5)
    make_destination()
    seed(make_source(), 10)

    problem = api.post("replays", {"kind": "matching"}, 409)

    assert (problem["code"], messages(problem).keys()) == ("count_not_confirmed", {"confirmed"})
    assert api.post("replays", {"kind": "matching", "confirmed": 10}, 202)["estimate"] == 10


def test_a_replay_is_paused_resumed_and_cancelled(api: Api) -> None:
    hook = services.pause(make_destination())
    dead = failed(seed(make_source(), 3)[0], hook)
    made = api.post("replays", {"kind": "matching", "rate_per_s": 7}, 202)
    path = f"replays/{made['id']}"
    carried_on()

    shown = api.get(path)
    assert (shown["rate_per_s"], shown["progress"]["waiting"], shown["progress"]["left"]) == (7, 3, 3)
    assert api.post(f"{path}/pause")["status"] == "paused"
    assert api.post(f"{path}/pause", status=409)["code"] == "conflict"
    assert api.post(f"{path}/resume")["status"] == "running"
    cancelled = api.post(f"{path}/cancel")
    assert (cancelled["status"], cancelled["restored"], cancelled["progress"]["in_hand"]) == ("cancelled", 3, 0)
    assert fresh(dead).status == "dead"
    assert api.post(f"{path}/resume", status=409)["code"] == "conflict"


def test_replays_are_listed_newest_first_by_kind_and_status(api: Api) -> None:
    hook = make_destination()
    failed(seed(make_source(), 2)[0], hook)
    first = api.post("replays", {"kind": "failed", "destinations": [str(hook.pk)]}, 202)["id"]
    second = api.post("replays", {"kind": "matching", "data_type": "activity"}, 202)["id"]
    api.post(f"replays/{first}/pause")

    page = api.get("replays", limit=1)
    rest = api.get("replays", limit=1, cursor=page["next_cursor"])
    assert [row["id"] for row in page["data"] + rest["data"]] == [second, first]
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert page["data"][0]["selection"] | {"until": ""} == {"data_type": "activity", "until": ""}
    assert [row["id"] for row in api.get("replays", kind="failed", status="paused")["data"]] == [first]
    assert api.get("replays", kind="failed", status="done")["data"] == []


@pytest.mark.parametrize("path", ["replays/x", "replays/7", f"replays/{10**30}", "replays/-1"])
def test_a_replay_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert api.get(path, 404)["code"] == "not_found"
    assert api.post(f"{path}/cancel", status=404)["code"] == "not_found"


def test_a_replay_of_another_source_does_not_exist_for_a_key_that_is_limited(api: Api) -> None:
    main, second = make_source(), make_source("second")
    hook = make_destination("second's", sources=["second"])
    theirs = seed(main, 2)
    seed(second, 2)
    hidden = api.post("replays", {"kind": "matching", "source": "main", "destinations": [str(hook.pk)]}, 202)["id"]
    key = api_of("deliveries:write", sources=["second"])

    assert key.get(f"replays/{hidden}")["id"] == hidden, "all that it sends goes to the key's own destination"
    other = make_destination("main's")
    hidden = api.post("replays", {"kind": "matching", "source": "main", "destinations": [str(other.pk)]}, 202)["id"]
    for call in (lambda: key.get(f"replays/{hidden}", 404), lambda: key.post(f"replays/{hidden}/cancel", status=404)):
        assert call()["code"] == "not_found"
    for body in (
        {"kind": "matching"},
        {"kind": "matching", "source": "main"},
        {"kind": "matching", "source": "second", "destinations": [str(other.pk)]},
        {"kind": "missing", "destinations": [str(other.pk)]},
    ):
        for query in ("", "?dry_run=true"):
            assert key.client.post(f"/api/v1/replays{query}", body, "application/json").status_code in (400, 403, 404)
    assert key.post("replays", {"kind": "chosen", "events": [str(theirs[0].pk)]}, 404)["code"] == "not_found"
    own = key.post("replays", {"kind": "matching", "source": "second"}, 202)
    assert [row["id"] for row in key.get("replays")["data"]][:1] == [own["id"]]
    assert own["estimate"] == 4, "its two events, to both destinations"
