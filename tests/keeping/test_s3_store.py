"""The payload store in a bucket: the whole way of a large body, its links, and what happens while S3 is away."""

import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from destinations.models import Destination
from destinations.services import revoke_payload_links
from tests.delivering.log import statuses
from tests.faults.test_intake_crash import LOST
from tests.hub import Hub, own_hub, until
from tests.keeping.s3 import Bucket
from tests.receiving.support import BODY, body_of_size, check_refused, events
from tests.services.proxy import FaultProxy
from tests.sink import Sink
from tests.test_payload_links import link
from webhooks.models import Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databaseless]

LARGE = body_of_size(200_000)
NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def test_a_large_event_goes_through_the_bucket_byte_for_byte(tmp_path: Path, bucket: Bucket, sink: Sink) -> None:
    with own_hub(tmp_path, **bucket.settings()) as hub:
        destination = hub.webhook(sink.url("/hook"))
        event_id = hub.post(LARGE, trace="t").json["event_id"]
        event = Event.objects.select_related("payload").get(pk=event_id)
        assert event.payload.body is None
        assert bucket.keys() == [f"{bucket.prefix}/{event.payload.store_name}"]
        assert hub.post(LARGE, trace="t").json == {"event_id": event_id, "duplicate": True}
        assert bucket.bodies() == [LARGE]  # what was put for the repeat was discarded
        hub.worker(**bucket.settings())
        try:
            until(lambda: statuses() == {"delivered": 1})
        finally:
            hub.stop_workers()
        assert [one.body for one in sink.requests("/hook")] == [LARGE]
        check_link(hub, bucket, urlsplit(link(event, destination)).path)


def check_link(hub: Hub, bucket: Bucket, path: str) -> None:
    """A link streams through the hub, until the object is gone."""
    answer = hub.server.request("GET", path)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, LARGE, str(len(LARGE)))
    assert hub.server.request("HEAD", path).headers["content-length"] == str(len(LARGE))
    bucket.client.delete_object(Bucket=bucket.name, Key=bucket.keys()[0])
    check_refused(hub.server.request("GET", path), 404, "unknown_link")


def _event(hub: Hub, body: bytes = LARGE) -> tuple[Destination, Event]:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    return destination, Event.objects.get(pk=hub.post(body).json["event_id"])


def test_links_lead_on_to_the_bucket_where_that_is_set(tmp_path: Path, bucket: Bucket) -> None:
    with own_hub(tmp_path, PAYLOAD_REDIRECT="true", **bucket.settings()) as hub:
        destination, event = _event(hub)
        url = urlsplit(link(event, destination, lifetime_s=600)).path
        answer = hub.server.request("GET", url)
        location = answer.headers["location"]
        assert (answer.status, answer.body) == (302, b"")
        assert location.startswith(f"{bucket.server.endpoint}/{bucket.name}/{bucket.prefix}/")
        assert "no-store" in answer.headers["cache-control"]
        assert "X-Amz-Expires=60" in location
        with urllib.request.urlopen(location) as download:
            assert (download.read(), download.headers["Content-Type"]) == (LARGE, "application/json")
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(location.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"))
        assert hub.server.request("HEAD", url).status == 200  # a presigned GET would refuse it
        small, small_event = _event(hub, BODY % 1)
        assert hub.server.request("GET", urlsplit(link(small_event, small)).path).body == BODY % 1

        check_refused(hub.server.request("GET", urlsplit(link(event, destination, -1)).path), 410, "link_expired")
        revoke_payload_links(destination)
        check_refused(hub.server.request("GET", url), 404, "unknown_link")


def test_while_s3_is_away_large_events_get_503_and_small_ones_are_taken(tmp_path: Path, bucket: Bucket) -> None:
    with own_hub(tmp_path, **bucket.settings(PAYLOAD_S3_ENDPOINT=NOWHERE)) as hub:
        refused = hub.post(LARGE)
        check_refused(refused, 503, "store_unavailable")
        assert refused.headers["retry-after"] == "30"
        assert hub.post(BODY % 1).status == 200
        assert [event.size for event in events(hub)] == [len(BODY % 1)]
        ready = hub.server.request("GET", "/readyz").json["checks"]["payload store"]
        assert (ready["ok"], bucket.place in ready["detail"]) == (False, True)
        log = hub.server.process.output() if hub.server.process else ""
        assert (bucket.place in log, "PAYLOAD_S3_ENDPOINT" in log, "xxxxxxxx" in log) == (
            True,
            True,
            False,
        )
    assert bucket.keys() == []


@contextmanager
def through_a_proxy(bucket: Bucket) -> Iterator[tuple[FaultProxy, dict[str, str]]]:
    upstream = urlsplit(bucket.server.endpoint)
    with FaultProxy((str(upstream.hostname), int(upstream.port or 80))) as proxy:
        yield proxy, bucket.settings(PAYLOAD_S3_ENDPOINT=f"http://{proxy.host}:{proxy.port}")


def test_an_s3_that_cuts_connections_or_falls_silent_holds_up_no_small_event(tmp_path: Path, bucket: Bucket) -> None:
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        with through_a_proxy(bucket) as (proxy, settings):
            hub = stack.enter_context(own_hub(tmp_path, **settings))
            assert hub.post(LARGE).status == 200
            proxy.cut()  # what the hub has kept open
            assert hub.post(LARGE).status == 200
            proxy.fall_silent()
            held = bucket.keys()
            waiting = pool.submit(hub.post, LARGE)
            assert hub.post(BODY % 1).status == 200
            assert not waiting.done()
        check_refused(waiting.result(), 503, "store_unavailable")
        assert sorted(event.size for event in events(hub)) == [len(BODY % 1), len(LARGE), len(LARGE)]
        assert bucket.keys() == held


def test_killed_between_put_and_commit_an_object_is_left_and_nothing_else(tmp_path: Path, bucket: Bucket) -> None:
    with own_hub(tmp_path, HUB_FAILPOINT="before_commit:1", **bucket.settings()) as hub:
        with pytest.raises(LOST):
            hub.post(LARGE, trace="t")
        assert (events(hub), bucket.bodies()) == ([], [LARGE])
    with own_hub(tmp_path, **bucket.settings()) as hub:
        again = hub.post(LARGE, trace="t")
        assert (again.status, again.json["duplicate"]) == (200, False)
        assert bucket.bodies() == [LARGE, LARGE]
