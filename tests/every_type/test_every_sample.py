"""Every sample event at one destination of every type at once, by one running hub.

What arrived is read back with each system's official client, and compared with ``expected``, byte for
byte and row for row.
"""

import pytest

from destinations.registry import type_names
from tests.delivering.log import attempts, numbers_are_whole, statuses
from tests.every_type.expected import SAMPLES, Posted, moments
from tests.every_type.leaks import secrets_of, shown_in
from tests.every_type.receivers import DEV_ID, RECEIVERS, REFERENCE, environment_of
from tests.hub import SAMPLES as BODIES
from tests.hub import Hub, until

pytestmark = pytest.mark.django_db(transaction=True)


def post_samples(hub: Hub) -> list[Posted]:
    """Post every sample in the order in which Terra made them."""
    posted = []
    for name, made_at in zip(SAMPLES, moments(), strict=True):
        stamp = str(round(made_at.timestamp() * 1000))
        headers = {"X-Terra-Ordering-Timestamp": stamp, "terra-reference": REFERENCE, "dev-id": DEV_ID}
        answer = hub.post(BODIES[name], headers, trace=name)
        assert answer.status == 200, answer.body
        posted.append(Posted(name, BODIES[name], answer.json["event_id"], made_at))
    return posted


@pytest.mark.databaseless
def test_every_sample_and_every_type_is_here() -> None:
    assert sorted(SAMPLES) == sorted(BODIES)
    assert sorted(RECEIVERS) == sorted(type_names())


def test_every_sample_arrives_at_every_type_as_terra_describes_it(hub: Hub, request: pytest.FixtureRequest) -> None:
    receivers = [make(request.getfixturevalue) for make in RECEIVERS.values()]
    for receiver in receivers:
        receiver.set_up(hub)
    worker = hub.worker(**environment_of(hub, *receivers))

    posted = post_samples(hub)
    until(lambda: statuses() == {"delivered": len(SAMPLES) * len(RECEIVERS)}, 60, "every sample is delivered")

    for receiver in receivers:
        receiver.check(posted)
    assert {attempt.outcome for attempt in attempts()} == {"delivered"}
    assert numbers_are_whole()
    assert shown_in(worker, secrets_of(*receivers)) == []
