"""What the hub holds in the pictures: some hundred signed events, deliveries that went well, one that does not.

All of it came in by the hub's own door and went out by its own worker; only the tallies of the days
before are written as its processes would have left them.
"""

import json
import math
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice

from django.utils import timezone

from destinations.models import Destination
from destinations.services import create_destination
from tests.hub import SAMPLES, SECRET, Server, signature, until
from tests.screenshots.stage import Stage
from webhooks.models import HOUR_S, MINUTE_S, Attempt, DeliveredTally, Delivery, ReceivedTally, Source
from webhooks.tallying import start_of

SLUG = "production"
TYPES = ("daily", "sleep", "activity", "body", "nutrition")
PROVIDERS = ("GARMIN", "OURA", "FITBIT", "WHOOP", "POLAR")
FIRST_EVENTS = 600
DOWN = {"status": 503, "body": '{"error": "The service is down for maintenance."}'}
SCHEDULE = [3, 4, 1800]  # seconds: two retries before the picture, and one that is to come
# Of a hundred attempts, how many took at most so many milliseconds.
DURATIONS = {"ms_25": 22, "ms_50": 46, "ms_100": 24, "ms_250": 6, "ms_1000": 2}
TROUBLE = range(300, 420)  # minutes ago: some hours before, one destination was down for a while


@dataclass(frozen=True)
class Scene:
    """What the pictures go to."""

    healthy: Destination
    failing: Destination
    late: Destination  # it was added after the events, and has none of them
    failed: Delivery


def bodies() -> Iterator[bytes]:
    """Yield events of many users, without end."""
    for number, (kind, provider) in enumerate(zip(cycle(TYPES), cycle(PROVIDERS + PROVIDERS[:1]), strict=False)):
        body = json.loads(SAMPLES[kind])
        user = str(uuid.uuid5(uuid.NAMESPACE_OID, f"user {number % 40}"))
        body["user"] |= {"user_id": user, "provider": provider, "reference_id": f"member-{1000 + number % 40}"}
        yield json.dumps(body).encode()


def post(server: Server, body: bytes) -> None:
    """Post one event as Terra does."""
    headers = {
        "Content-Type": "application/json", "terra-signature": signature(body), "X-Terra-Trace-Id": uuid.uuid4().hex,
        "terra-reference": uuid.uuid4().hex[:16],
    }  # fmt: skip
    assert server.request("POST", f"/webhooks/terra/{SLUG}", body, headers).status == 200


def set_the_scene(stage: Stage) -> Scene:
    """Have events come and be delivered, and one of them fail three times."""
    healthy = webhook("Clinic API", stage.sink.url("/clinic"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda body: post(stage.server, body), islice(bodies(), FIRST_EVENTS)))
    until(lambda: not Delivery.objects.filter(status="pending").exists(), 60, "the events were delivered")
    failing, failed = fail(stage)
    late = webhook("Research lake", stage.sink.url("/lake"), concurrency=4)
    tally_the_past(Source.objects.get(), healthy, failing)
    return Scene(healthy, failing, late, failed)


def webhook(name: str, url: str, **settings: object) -> Destination:
    """Make a webhook that takes what the source brings."""
    made = create_destination(
        type="webhook", name=name, config={"url": url}, credentials={"signing_secret": SECRET}, sources=[SLUG],
        **settings,
    )  # fmt: skip
    return made.destination


def fail(stage: Stage) -> tuple[Destination, Delivery]:
    """Have a user's sleep fail: first the connection breaks, then the receiver says why."""
    stage.sink.behave("/analytics", mode="reset")
    row = webhook("Analytics", stage.sink.url("/analytics"), event_types=["sleep"], schedule=SCHEDULE)
    post(stage.server, next(body for body in bodies() if b'"type": "sleep"' in body))
    tries = Attempt.objects.filter(delivery__destination=row)
    until(lambda: tries.count() == 1, what="the first try failed")
    stage.sink.behave("/analytics", **DOWN)
    until(lambda: tries.count() == 3, 30, "three tries failed")
    return row, Delivery.objects.get(destination=row)


# --- the days before --------------------------------------------------------------------------------
def per_minute(at: datetime) -> int:
    """Return how many events came in a minute: more by day than by night, and never quite the same."""
    day = math.sin((at.hour * 60 + at.minute - 420) / 1440 * 2 * math.pi)
    return round(94 + 62 * day + 9 * math.sin(at.minute * 2.1) + 8 * math.sin(at.minute * 0.7))


def tally_the_past(source: Source, healthy: Destination, failing: Destination) -> None:
    """Write what a week would have left: minutes of the last hour, and hours."""
    now = timezone.now()
    minutes = [start_of(now, MINUTE_S) - timedelta(minutes=back) for back in range(7 * 24 * 60)]
    counts: dict[tuple[int, datetime], list[int]] = {}
    for back, at in enumerate(minutes):
        for period_s in (MINUTE_S, HOUR_S) if back < 60 else (HOUR_S,):
            total = counts.setdefault((period_s, start_of(at, period_s)), [0, 0])
            total[0] += per_minute(at)
            total[1] += (per_minute(at) + 3) // 5 if back in TROUBLE else 0
    received, delivered = [], []
    for (period_s, at), (events, failures) in counts.items():
        when = {"period_s": period_s, "starts_at": at, "writer": "before"}
        received.append(ReceivedTally(source=source, events=events, bytes=events * 9000, **when))
        delivered.append(DeliveredTally(destination=healthy, delivered=events, **durations(events), **when))
        sleeps = events // 5
        delivered.append(
            DeliveredTally(
                destination=failing, delivered=max(0, sleeps - failures), failed=failures, **durations(sleeps), **when
            )
        )
    ReceivedTally.objects.bulk_create(received)
    DeliveredTally.objects.bulk_create(delivered)


def durations(attempts: int) -> dict[str, int]:
    """Return a histogram of that many attempts."""
    return {name: attempts * share // 100 for name, share in DURATIONS.items()}
