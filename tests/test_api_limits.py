"""What a key that is limited to sources sees, makes and sends: nothing of others, and nothing to others."""

from typing import Any

import pytest
from django.utils import timezone

from destinations.access.actors import KeyActor
from destinations.models import Destination
from tests.api_support import (
    make_delivery,
    make_destination,
    make_event,
    make_source,
    make_user,
    refused,
)
from tests.keys_support import api_of, new_key
from webhooks.api import limits
from webhooks.keeping.selections import selection_of
from webhooks.models import QuarantinedRequest, Replay

pytestmark = pytest.mark.django_db


def test_a_limited_key_makes_and_changes_destinations_of_its_own_sources_only() -> None:
    make_source("main"), make_source("elsewhere")
    script = api_of("destinations:write", sources=["main"])
    body = {"type": "webhook", "name": "mine", "config": {"url": "http://127.0.0.1:18999/"}}
    everything, mixed = make_destination("all"), make_destination("mixed", sources=["main", "elsewhere"])

    for sources in ({}, {"sources": []}, {"sources": ["elsewhere"]}, {"sources": ["main", "elsewhere"]}):
        assert script.post("destinations", {**body, **sources}, 403)["code"] == "beyond_sources"
    mine = script.post("destinations", {**body, "sources": ["main"]}, 201)["id"]
    for sources in ([], ["elsewhere"]):
        assert script.patch(f"destinations/{mine}", {"sources": sources}, 403)["code"] == "beyond_sources"
    script.patch(f"destinations/{mine}", {"name": "still mine", "sources": ["main"]})

    assert [one["id"] for one in script.get("destinations")["data"]] == [mine]
    for row in (everything, mixed):
        script.patch(f"destinations/{row.pk}", {"name": "taken"}, 404)
        script.delete(f"destinations/{row.pk}", 404)
    assert Destination.objects.get(pk=mine).sources == ["main"]


def test_a_limited_key_sends_nothing_of_others_and_nothing_to_others() -> None:
    own, other = make_event(source=make_source("main")), make_event(source=make_source("elsewhere"))
    mine, everybodys = make_destination("mine", sources=["main"]), make_destination("all")
    deliveries = [make_delivery(event, everybodys, "dead") for event in (own, other)]
    script = api_of("deliveries:write", sources=["main"])

    to_others = script.post(f"events/{own.pk}/resend", {"destinations": [str(everybodys.pk)]}, 403)
    of_others = script.post("deliveries/resend", {"ids": [one.pk for one in deliveries]}, 404)
    script.post(f"events/{own.pk}/resend", {"destinations": [str(mine.pk)]}, 202)
    script.post("deliveries/resend", {"ids": [deliveries[0].pk]}, 202)

    assert to_others["code"] == "beyond_sources"
    assert str(deliveries[1].pk) in of_others["detail"]
    assert {one["event"] for one in script.get("deliveries")["data"]} == {str(own.pk)}
    assert [one["id"] for one in script.get("events")["data"]] == [str(own.pk)]


@pytest.fixture
def limited() -> KeyActor:
    make_source("main"), make_source("elsewhere")
    return KeyActor(new_key(sources=["main"]).row)


def test_what_belongs_to_other_sources_does_not_exist_for_a_limited_key(limited: KeyActor) -> None:
    mine, all_ = make_destination("mine", sources=["main"]), make_destination("all")
    rows: dict[str, list[Any]] = {"own": [], "other": []}
    for whose, slug in (("own", "main"), ("other", "elsewhere")):
        event = make_event(source=make_source(slug))
        item = QuarantinedRequest.objects.create(source=event.source, reason="x", received_at=event.received_at)
        rows[whose] = [event.source, event, make_delivery(event, all_), item]
    replays = [
        Replay.objects.create(kind="matching", created_at=timezone.now(), selection=kept, destination_ids=to)
        for kept, to in (
            ({"source": "main"}, []), ({}, [str(mine.pk)]), ({"source": "elsewhere"}, []), ({}, []),
            ({}, [str(mine.pk), str(all_.pk)]),
        )
    ]  # fmt: skip

    narrow = [limits.sources_shown, limits.events_of, limits.deliveries_of, limits.quarantine_of]
    for function, own, other in zip(narrow, rows["own"], rows["other"], strict=True):
        every: Any = type(own).objects.filter(pk__in=[own.pk, other.pk])
        assert list(function(limited, every)) == [own]  # type: ignore[operator]
        assert function(make_user(), every).count() == 2  # type: ignore[operator]
    assert set(limits.replays_of(limited, Replay.objects.all())) == set(replays[:2])
    assert limits.replays_of(None, Replay.objects.all()).count() == 5


def test_a_limited_key_replays_its_own_events_to_its_own_destinations_only(limited: KeyActor) -> None:
    mine, all_ = make_destination("mine", sources=["main"]), make_destination("all")
    own, other = make_event(source=make_source("main")), make_event(source=make_source("elsewhere"))

    def judged(kind: str, **values: Any) -> None:
        limits.refuse_replay_beyond(limited, selection_of(kind, values))

    judged("matching", source="main")
    judged("matching", source="main", destinations=[mine.pk])
    judged("missing", destinations=[mine.pk])
    judged("chosen", events=[own.pk])
    for values in (
        {},
        {"source": "elsewhere"},
        {"destinations": [mine.pk]},
        {"source": "main", "destinations": [all_.pk]},
    ):
        assert refused(judged, "matching", **values).code == "beyond_sources"
    assert refused(judged, "missing", destinations=[all_.pk]).code == "beyond_sources"
    assert refused(judged, "chosen", events=[own.pk, other.pk]).code == "not_found"
    limits.refuse_replay_beyond(make_user(), selection_of("matching", {}))
