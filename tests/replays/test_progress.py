"""The numbers of a replay agree: its bar, its counts and its words."""

import pytest
from django.utils import timezone

from destinations import services
from destinations.models import Destination
from tests.api_support import make_destination, make_source
from tests.replays.stage import carried_on, due, fresh, seed, started
from webhooks.admin.replay_words import replay_state
from webhooks.keeping import replays
from webhooks.keeping.progress import progress_of
from webhooks.models import Delivery, Replay

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook() -> Destination:
    hook: Destination = services.pause(make_destination("Clinic"))
    return hook


def deliver(replay: Replay, count: int, status: str = "delivered") -> None:
    """End so many deliveries of a replay that wait."""
    waiting = list(Delivery.objects.filter(replay=replay, status="pending").values_list("pk", flat=True)[:count])
    Delivery.objects.filter(pk__in=waiting).update(status=status, next_attempt_at=None, settled_at=timezone.now())


def seen(replay: Replay) -> tuple[int, str]:
    """Return the percentage of the bar, and the sentence beside it."""
    done = progress_of(fresh(replay), timezone.now())
    return done.percent, replay_state(replay, done).sentence


def test_one_that_was_cancelled_when_all_was_delivered_is_full(hook: Destination) -> None:
    seed(make_source(), 7)
    replay = started("missing", destinations=[hook.pk])
    carried_on()
    Replay.objects.update(exhausted=False)  # its last look was still to come
    deliver(replay, 7)
    assert seen(replay)[0] == 99
    replays.cancel(replay)
    percent, sentence = seen(replay)
    assert percent == 100
    assert sentence.endswith("0 that waited went back to what they were; 7 of about 7 had been delivered.")


def test_what_was_put_back_is_not_done(hook: Destination) -> None:
    seed(make_source(), 10)
    replay = started("matching")
    carried_on()
    deliver(replay, 3)
    deliver(replay, 1, "dead")
    claimed = Delivery.objects.filter(replay=replay, status="pending").values("pk")[:1]
    Delivery.objects.filter(pk__in=list(claimed.values_list("pk", flat=True))).update(claimed_by="w:1")
    replays.cancel(replay)
    percent, sentence = seen(replay)
    assert (percent, len(due(replay))) == (40, 1)
    assert sentence.endswith("1 are in a worker's hands and are tried once more.")
    deliver(replay, 1)
    carried_on()
    percent, sentence = seen(replay)
    assert percent == 50
    assert sentence.endswith(
        "5 that waited went back to what they were; 4 of 10 had been delivered, 1 are dead letters."
    )


def test_one_that_is_done_is_full_and_a_stopped_one_is_not(hook: Destination) -> None:
    seed(make_source(), 2)
    replay = started("matching")
    carried_on()
    deliver(replay, 2)
    Replay.objects.update(status="stopped", problem="It is disabled: Clinic. Enable it first.")
    assert seen(replay)[0] == 99
    Replay.objects.update(status="running")
    carried_on(2)
    assert seen(replay)[0] == 100
