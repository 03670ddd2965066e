"""Which destinations an event is committed for."""

import pytest
from django.utils import timezone

from destinations.models import Destination
from destinations.services import (
    create_destination,
    delete_destination,
    disable,
    enable,
    pause,
    update_destination,
)
from tests.hub import SAMPLES, SECRET, Hub
from tests.receiving.support import BODY, at_once
from webhooks.models import Delivery, DeliveryStatus, Event
from webhooks.receiving.sources import create_source

pytestmark = pytest.mark.django_db(transaction=True)

URL = "http://127.0.0.1:8099/hook"


def post(hub: Hub, sample: str = "daily") -> set[str]:
    """Post an event; return the names of the destinations that it was committed for."""
    answer = hub.post(SAMPLES[sample])
    assert answer.status == 200
    rows = Delivery.objects.filter(event_id=answer.json["event_id"])
    assert {row.status for row in rows} <= {DeliveryStatus.PENDING}
    assert all(row.next_attempt_at <= timezone.now() for row in rows)
    return set(rows.values_list("destination__name", flat=True))


def test_no_types_means_every_type(hub: Hub) -> None:
    hub.webhook(URL, "all")
    hub.webhook(URL, "some", event_types=["daily", "auth"])
    assert post(hub, "daily") == {"all", "some"}
    assert post(hub, "auth") == {"all", "some"}
    assert post(hub, "sleep") == {"all"}
    assert post(hub, "healthcheck") == {"all"}


def test_a_type_that_nobody_knows_is_routed_too(hub: Hub) -> None:
    hub.webhook(URL, "all")
    answer = hub.post(b'{"type":"of_tomorrow"}')
    assert Delivery.objects.get().event_id == Event.objects.get(pk=answer.json["event_id"]).pk
    hub.webhook(URL, "tomorrow", event_types=["of_tomorrow"])  # now it is a known one
    assert Delivery.objects.filter(event_id=hub.post(b'{"type":"of_tomorrow"}').json["event_id"]).count() == 2


def test_only_from_the_sources_that_were_chosen(hub: Hub) -> None:
    one, other = hub.source, create_source(slug="other-source", secret=SECRET)
    hub.webhook(URL, "of one")
    create_destination(
        type="webhook", name="of any", config={"url": URL}, credentials={"signing_secret": SECRET}, sources=[]
    )
    assert post(hub) == {"of one", "of any"}
    hub.source = other
    assert post(hub) == {"of any"}
    hub.source = one
    assert post(hub) == {"of one", "of any"}


def test_t20_an_event_that_nobody_takes_is_stored(hub: Hub) -> None:
    hub.webhook(URL, event_types=["sleep"])
    answer = hub.post(BODY % 1)
    assert answer.status == 200
    event = Event.objects.get(pk=answer.json["event_id"])
    assert not event.deliveries.exists()


def test_every_change_counts_for_the_very_next_event(hub: Hub) -> None:
    assert post(hub) == set()
    row = hub.webhook(URL, "d")
    assert post(hub) == {"d"}
    disable(row, reason="by hand")
    assert post(hub) == set()
    enable(row)
    assert post(hub) == {"d"}
    row = update_destination(Destination.objects.get(pk=row.pk), event_types=["sleep"])
    assert post(hub) == set()
    row = update_destination(row, event_types=[], name="renamed")
    assert post(hub) == {"renamed"}
    pause(row)
    assert post(hub) == {"renamed"}  # collected while it is paused
    delete_destination(row)
    assert post(hub) == set()
    hub.webhook(URL, "d")
    assert post(hub) == {"d"}


def test_every_event_of_a_burst_gets_exactly_its_deliveries(hub: Hub) -> None:
    hub.webhook(URL, "all")
    hub.webhook(URL, "daily", event_types=["daily"])
    hub.webhook(URL, "sleep", event_types=["sleep"])
    hub.webhook(URL, "off", active=False)
    sent = ["daily", "sleep", "body", "auth"] * 15
    answers = at_once(lambda name: hub.post(SAMPLES[name]), sent)
    expected = {"daily": {"all", "daily"}, "sleep": {"all", "sleep"}, "body": {"all"}, "auth": {"all"}}
    for name, answer in zip(sent, answers, strict=True):
        rows = Delivery.objects.filter(event_id=answer.json["event_id"])
        names = list(rows.values_list("destination__name", flat=True))
        assert sorted(names) == sorted(expected[name])
