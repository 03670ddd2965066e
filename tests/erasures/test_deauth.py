"""Erasing who has left, a while after their deauth: off unless ERASE_AFTER_DEAUTH_HOURS is set."""

import time
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from destinations.models import Destination
from destinations.signatures import terra_hmac
from destinations.terra import SAMPLE_USER
from tests.api_support import make_source
from tests.erasures.stage import IDS, NEW, OLD, body_of, carried_on, kept_event, reauth, rows_that_name
from tests.erasures.stage import refused as kept_apart
from webhooks.keeping.erasures import jobs
from webhooks.models import Delivery, Erasure, Event, QuarantinedRequest, Source
from webhooks.receiving.intake import Incoming, judge
from webhooks.receiving.quarantine import admit
from webhooks.receiving.routing import RoutingTable
from webhooks.receiving.samples import sample_body, send_sample
from webhooks.receiving.sources import add_signing_secret, as_live
from webhooks.receiving.writing import write_entries

pytestmark = pytest.mark.django_db

SECRET = "a-secret-of-the-tests-1"


@pytest.fixture
def source() -> Source:
    made = make_source()
    add_signing_secret(made, SECRET)
    return made


def signed(kind: str, at: datetime) -> Incoming:
    """Return what Terra posts of the user at a moment."""
    stamp, body = str(int(at.timestamp())), body_of(NEW, kind=kind)
    signature = terra_hmac(SECRET.encode(), stamp, body)
    return Incoming({"terra-signature": f"t={stamp},v1={signature}"}, body, None)


@pytest.fixture
def _after_30_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ERASE_AFTER_DEAUTH_HOURS", 30.0)


def due(row: Erasure) -> Erasure:
    """Let the time of an erasure come."""
    Erasure.objects.filter(pk=row.pk).update(starts_at=timezone.now())
    return carried_on(row)


def test_by_default_nobody_is_erased_for_leaving(source: Source) -> None:
    send_sample(source, body_of(NEW, kind="deauth"))
    assert not Erasure.objects.exists()


@pytest.mark.usefixtures("_after_30_hours")
@pytest.mark.parametrize("kind", ["deauth", "access_revoked"])
def test_who_has_left_is_erased_once_the_news_of_it_had_time_to_be_delivered(
    source: Source, hook: Destination, kind: str
) -> None:
    kept_event(NEW)
    kept_event(OLD)
    send_sample(source, reauth())
    event = send_sample(source, body_of(NEW, kind=kind))
    send_sample(source, body_of(NEW, kind=kind))

    row = Erasure.objects.get()
    assert (row.status, row.trigger) == ("waiting", "deauth")
    assert timedelta(hours=29) < row.starts_at - timezone.now() < timedelta(hours=31)
    assert Delivery.objects.get(event=event, destination=hook).status == "pending"
    assert carried_on(row, most=2).status == "waiting"

    assert due(row).status == "done"
    assert row.receipt["user_ids"] == 2
    assert not Event.objects.filter(user_id__in=IDS).exists()
    assert rows_that_name(NEW, OLD) == []


@pytest.mark.usefixtures("_after_30_hours")
@pytest.mark.parametrize("returns", [body_of(NEW, kind="auth"), reauth(NEW, "the-next-id")])
def test_who_has_come_back_meanwhile_is_not_erased(source: Source, returns: bytes) -> None:
    send_sample(source, body_of(NEW, kind="deauth"))
    send_sample(source, returns)
    row = due(Erasure.objects.get())
    assert (row.status, dict(row.subject)) == ("cancelled", {})
    assert "connected again" in row.problem
    assert Event.objects.count() == 2


@pytest.mark.usefixtures("_after_30_hours")
def test_the_old_id_of_somebody_who_goes_on_under_a_new_one_takes_nothing_away(source: Source) -> None:
    send_sample(source, reauth(OLD, NEW))
    send_sample(source, body_of(OLD, kind="deauth"))
    assert due(Erasure.objects.get()).status == "cancelled"
    assert Event.objects.count() == 2


@pytest.mark.usefixtures("_after_30_hours")
def test_an_old_deauth_that_is_admitted_after_they_came_back_erases_nobody(source: Source) -> None:
    old = timezone.now() - timedelta(days=5)
    late = signed("deauth", old)
    row = kept_apart(source, late.body, dict(late.headers))
    QuarantinedRequest.objects.filter(pk=row.pk).update(received_at=old)
    row.refresh_from_db()
    send_sample(source, body_of(NEW, kind="auth"))

    admit(row)

    assert due(Erasure.objects.get()).status == "cancelled"
    assert send_sample(source, body_of(NEW)).user_id == NEW


@pytest.mark.usefixtures("_after_30_hours")
def test_a_login_right_after_the_deauth_in_the_same_commit_counts(source: Source) -> None:
    moment, live = timezone.now() - timedelta(seconds=1), as_live(source)
    left = judge(live, signed("deauth", moment), moment)
    back = judge(live, signed("auth", moment), timezone.now())
    write_entries([left, back], RoutingTable())
    assert due(Erasure.objects.get()).status == "cancelled"


@pytest.mark.usefixtures("_after_30_hours")
def test_a_login_before_the_deauth_whose_id_runs_ahead_of_the_clock_is_no_coming_back(source: Source) -> None:
    later = timezone.now() + timedelta(hours=1)
    kept_event(NEW, body=body_of(NEW, kind="auth"), type="auth", at=later, received_at=timezone.now())
    send_sample(source, body_of(NEW, kind="deauth"))
    assert due(Erasure.objects.get()).status == "done"
    assert rows_that_name(NEW) == []


@pytest.mark.usefixtures("_after_30_hours")
def test_who_leaves_comes_back_and_leaves_again_is_erased(source: Source) -> None:
    for kind in ("deauth", "auth", "deauth"):
        send_sample(source, body_of(NEW, kind=kind))
        time.sleep(0.003)  # ids are in the order of milliseconds
    assert due(Erasure.objects.get()).status == "done"
    assert not Event.objects.exists()


@pytest.mark.usefixtures("_after_30_hours")
def test_a_sample_of_a_deauth_erases_nobody_and_samples_stay_welcome(source: Source) -> None:
    send_sample(source, sample_body("deauth"))
    assert not Erasure.objects.exists()

    assert carried_on(jobs.start(user_ids=[SAMPLE_USER])).status == "done"

    assert send_sample(source, sample_body("deauth")).user_id == SAMPLE_USER
    assert send_sample(source, sample_body("user_reauth")).user_id == SAMPLE_USER
