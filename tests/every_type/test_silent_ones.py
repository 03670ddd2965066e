"""A destination of every type that does not answer, beside one of every type that does."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from destinations.models import Destination
from tests.delivering.log import attempts, post_many, statuses
from tests.every_type.receivers import RECEIVERS, environment_of, silence
from tests.hub import Hub, until
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databaseless]

EVENTS = 5


@pytest.mark.parametrize("hangs", [True, False], ids=["hang", "down"])
def test_those_that_do_not_answer_hold_none_of_the_others(
    hub: Hub, request: pytest.FixtureRequest, hangs: bool
) -> None:
    receivers = [make(request.getfixturevalue) for make in RECEIVERS.values()]
    with silence(hangs) as nobody:
        silent = [
            receiver.set_up(hub, name=f"silent {receiver.type}", config=receiver.silent(nobody), timeout_s=120)
            for receiver in receivers
        ]
        hub.worker(**environment_of(hub, *receivers))
        post_many(hub, 1)
        until(lambda: tried(silent, hangs) == {one.pk for one in silent}, what="each of the silent ones is tried")

        healthy = [receiver.set_up(hub) for receiver in receivers]
        events = set(post_many(hub, EVENTS))
        until(lambda: statuses(destination__in=healthy) == {"delivered": EVENTS * len(RECEIVERS)}, 60)
        for receiver in receivers:
            assert receiver.event_ids() == events, receiver.type
        assert statuses(destination__in=silent) == {"pending": (1 + EVENTS) * len(RECEIVERS)}
        # All others were served while the first try of each of these was still under way.
        assert bool(attempts(delivery__destination__in=silent)) is not hangs


def tried(destinations: Sequence[Destination], hangs: bool) -> set[UUID]:
    """Return those whose delivery is under way, or has failed."""
    deliveries = Delivery.objects.filter(destination__in=destinations)
    begun = deliveries.exclude(claimed_by="") if hangs else deliveries.filter(attempts__outcome="failed")
    return set(begun.values_list("destination_id", flat=True))
