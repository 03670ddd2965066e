"""What a replay would send is said beforehand, and what cannot be sent is refused with a reason."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from destinations import services
from destinations.registry import adapter_classes
from tests.api_support import make_delivery, make_destination, make_source, refused
from tests.replays.stage import LONG_AGO, failed, seed, started
from webhooks.keeping import estimates
from webhooks.keeping.estimates import estimate
from webhooks.keeping.selections import bounded, selection_in, selection_of
from webhooks.models import Payload, Replay

pytestmark = pytest.mark.django_db


def counted(kind: str, **values: Any) -> estimates.Estimate:
    return estimate(bounded(selection_of(kind, values), timezone.now()))


def told(kind: str, **values: Any) -> dict[str, str]:
    """Return why a replay is refused, by the name of what is to be changed."""
    return {name: texts[0] for name, texts in refused(started, kind, **values).errors.items()}


def test_each_filter_of_the_list_of_events_narrows_a_replay() -> None:
    make_destination()
    main, other = make_source(), make_source("other")
    seed(main, 3, user_id="u1", reference_id="r1", terra_reference="t1")
    (traced,) = seed(main, 1, LONG_AGO + timedelta(hours=1), type="sleep", user_id="u2", reference_id="r1")
    type(traced).objects.filter(pk=traced.pk).update(idempotency_key="trace:abc")
    seed(other, 2, LONG_AGO + timedelta(days=1), user_id="u1")
    expected = {
        "type": ("sleep", 1), "user_id": ("u1", 5), "reference_id": ("r1", 4), "terra_reference": ("t1", 3),
        "trace_id": ("abc", 1), "source": ("other", 2), "since": (LONG_AGO + timedelta(hours=1), 3),
        "until": ((LONG_AGO + timedelta(seconds=2)).isoformat(), 2),
    }  # fmt: skip
    assert {name: counted("matching", **{name: value}).count for name, (value, _) in expected.items()} == {
        name: count for name, (_, count) in expected.items()
    }
    assert counted("matching", user_id="u1", source="other", type="activity").count == 2
    assert counted("matching", hours=1).count == 0
    assert counted("matching").count == 6


def test_an_outcome_keeps_events_by_the_delivery_that_they_have_there() -> None:
    hook, other = make_destination("hook"), make_destination("other")
    one, two, three = seed(make_source(), 3)
    make_delivery(one, hook, "dead")
    make_delivery(two, hook, "delivered")
    make_delivery(three, other, "dead")
    assert counted("matching", outcome="dead", destinations=[hook.pk]).count == 1
    assert counted("matching", outcome="dead").count == 2


def test_an_estimate_says_what_was_delivered_already_and_what_that_means_for_each_type() -> None:
    hook = make_destination()
    one, two, gone = seed(make_source(), 3)
    make_delivery(one, hook, "delivered")
    make_delivery(two, hook, "pending")
    Payload.objects.filter(event=gone).delete()
    found = counted("matching")
    assert (found.count, found.exact, found.text) == (3, True, "3")
    assert (found.sample, found.delivered, found.on_their_way, found.payload_gone) == (3, 1, 1, 1)
    assert estimates.warnings(found.destinations) == {
        "Webhook": "The receiver gets it again, with the same webhook-id."
    }
    assert all(one.on_repeat.endswith(".") for one in adapter_classes())


@pytest.mark.parametrize("kind", ["matching", "failed"])
def test_a_count_beyond_ten_thousand_is_about_right_and_has_to_be_said(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COUNTED": 200, "READ_MOST": 120, "SAMPLE_KEYS": 20}.items():
        monkeypatch.setattr(estimates, name, value)
    hook = make_destination()
    events = seed(make_source(), 600)
    more: dict[str, Any] = {}
    if kind == "failed":
        for event in events[:300]:
            failed(event, hook)
        more = {"destinations": [hook.pk]}
    found = counted(kind, **more)
    right = 600 if kind == "matching" else 300
    assert not found.exact
    assert 0.8 * right < found.count < 1.2 * right
    monkeypatch.setattr("webhooks.keeping.replays.COUNTED", 200)
    assert str(found.count) in told(kind, **more)["confirmed"]
    assert "confirmed" in told(kind, confirmed=found.count // 2, **more)
    assert Replay.objects.count() == 0
    assert started(kind, confirmed=found.count, **more).estimate == found.count


def test_what_cannot_be_sent_is_refused_with_what_to_change() -> None:
    hook, gone, off = make_destination("hook"), make_destination("gone"), make_destination("off")
    (event,) = seed(make_source(), 1)
    row = make_delivery(event, off, "delivered")
    services.delete_destination(gone)
    services.disable(off)
    assert told("matching", destinations=[gone.pk])["destinations"].startswith("It was deleted: gone")
    assert told("failed", destinations=[off.pk])["destinations"] == "It is disabled: off. Enable it first."
    assert "disabled: off" in told("chosen", deliveries=[row.pk])["destinations"]
    assert told("chosen", deliveries=[row.pk + 1]) == {"deliveries": f"No such deliveries: {row.pk + 1}."}
    assert told("failed", destinations=[hook.pk]) == {"": "Nothing has failed there that fits."}
    assert told("matching", type="sleep") == {"": "No event fits for which there is a destination."}
    make_delivery(event, hook, "delivered")
    assert told("missing", destinations=[hook.pk])[""].startswith("Nothing is missing")
    Payload.objects.all().delete()
    assert told("matching") == {"": "The payloads are no longer kept, so nothing can be sent."}
    assert told("matching", rate_per_s=0) == {"rate_per_s": "Must be a whole number from 1 to 100,000, or empty."}


@pytest.mark.parametrize(
    ("kind", "values", "name"),
    [
        ("everything", {}, "kind"),
        ("matching", {"since": "yesterday"}, "since"),
        ("matching", {"since": "2026-13-99T00:00:00Z"}, "since"),
        ("matching", {"since": "2026-03-12T06:00:00Z", "until": "2026-03-12T06:00:00Z"}, "until"),
        ("matching", {"hours": "-1"}, "hours"),
        ("matching", {"destinations": ["x"]}, "destinations"),
        ("matching", {"source": "nobody"}, "source"),
        ("matching", {"outcome": "lost"}, "outcome"),
        ("matching", {"user_id": "\x00"}, "user_id"),
        ("matching", {"user_id": ["u"]}, "user_id"),
        ("matching", {"error_code": "http_500"}, "error_code"),
        ("failed", {}, "destinations"),
        ("missing", {"type": "daily"}, "type"),
        ("chosen", {}, "deliveries"),
        ("chosen", {"deliveries": "1,x"}, "deliveries"),
        ("chosen", {"deliveries": list(range(1001))}, "deliveries"),
        ("chosen", {"deliveries": [2**70]}, "deliveries"),
        ("chosen", {"deliveries": 5.5}, "deliveries"),
        ("matching", {"destinations": 5}, "destinations"),
    ],
)
def test_what_is_no_selection_is_refused_by_name(kind: str, values: dict[str, Any], name: str) -> None:
    assert name in refused(selection_of, kind, values).errors


def test_a_job_keeps_its_selection_as_it_was_given() -> None:
    hook = make_destination()
    (event,) = seed(make_source(), 1, user_id="u1")
    replay = started("matching", user_id="u1", since=LONG_AGO, until="2026-04-01T00:00:00+02:00", destinations=hook.pk)
    kept = selection_in(Replay.objects.get(pk=replay.pk))
    assert (kept.user_id, kept.since, kept.destinations) == ("u1", LONG_AGO, (hook.pk,))
    assert selection_in(started("chosen", events=[event.pk])).events == (event.pk,)
