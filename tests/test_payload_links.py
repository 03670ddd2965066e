"""Links to payloads: they open without a log-in, give the exact bytes, and stop when they are revoked."""

import base64
import hmac
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from destinations.adapters_of import build_adapter
from destinations.models import Destination
from destinations.services import delete_destination, revoke_payload_links
from tests.hub import SAMPLES, Answer, Hub
from tests.receiving.support import body_of_size, check_refused
from webhooks.delivering.delivery import message_of, target_of
from webhooks.delivering.outbox import Claimed
from webhooks.keeping.links import (
    EXPIRY_BYTES,
    LinkExpired,
    expiry_after,
    link_key,
    payload_of,
    payload_url,
    token_for,
)
from webhooks.keeping.payloads import discard_body
from webhooks.models import Event, Payload

pytestmark = pytest.mark.django_db(transaction=True)

MB = 1024 * 1024


def link(event: Event, destination: Destination, lifetime_s: int | None = None) -> str:
    return payload_url(event.pk, destination.pk, link_key(destination), expiry_after(lifetime_s))


def take_in(hub: Hub, body: bytes) -> Event:
    event: Event = Event.objects.get(pk=hub.post(body).json["event_id"])
    return event


def follow(hub: Hub, url: str, method: str = "GET") -> Answer:
    return hub.server.request(method, urlsplit(url).path)


def test_a_link_gives_the_exact_bytes(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    for body in (SAMPLES["activity"], b'{"type":"daily","user":{"user_id":"\xc3\xa9"} }', body_of_size(2 * MB)):
        url = link(take_in(hub, body), destination)
        assert url.startswith(f"{settings.PUBLIC_URL}/payloads/")
        answer = follow(hub, url)
        assert (answer.status, answer.body == body) == (200, True)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-length"] == str(len(body))
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in answer.headers
        head = follow(hub, url, "HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(body)))


def test_only_get_and_head(hub: Hub) -> None:
    url = link(take_in(hub, SAMPLES["daily"]), hub.webhook("http://127.0.0.1:8099/hook"))
    for method in ("PUT", "DELETE"):
        answer = follow(hub, url, method)
        assert answer.status in (403, 405)
        assert SAMPLES["daily"] not in answer.body


def test_whatever_is_wrong_with_a_link_the_answer_is_the_same(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    event = take_in(hub, SAMPLES["daily"])
    other = hub.webhook("http://127.0.0.1:8099/other")  # made later: it has no delivery of this event
    good = token_for(event.pk, destination.pk, link_key(destination))
    unknown = token_for(event.pk, event.pk, link_key(destination))
    raw = base64.urlsafe_b64decode(good)
    flipped = [base64.urlsafe_b64encode(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]).decode() for i in (0, 20, 40, 47)]
    wrong = {
        "nonsense": "nonsense",
        "not ASCII": "%C3%A9" * 20,
        "NUL": "%00" * 64,
        "longer": good + "AAAA",
        "cut": good[:-4],
        "padded": good + "=",
        "a character that base64 skips": good[:10] + "!" + good[10:],
        "of another destination": token_for(event.pk, other.pk, link_key(other)),
        "signed by another destination": token_for(event.pk, destination.pk, link_key(other)),
        "of no destination": unknown,
        **{f"flipped {number}": token for number, token in enumerate(flipped)},
    }
    assert follow(hub, f"/payloads/{good}").status == 200
    answers = {name: follow(hub, f"/payloads/{token}") for name, token in wrong.items()}
    for name, answer in answers.items():
        check_refused(answer, 404, "unknown_link")
        assert answer.body == answers["nonsense"].body, name


def test_revoked_links_stop_and_new_ones_work(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    event = take_in(hub, SAMPLES["daily"])
    old = link(event, destination)
    fresh = revoke_payload_links(destination)
    check_refused(follow(hub, old), 404, "unknown_link")
    assert follow(hub, link(event, fresh)).body == SAMPLES["daily"]


def test_a_link_with_a_lifetime_opens_until_it_is_over(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    event = take_in(hub, SAMPLES["daily"])
    fresh = link(event, destination, lifetime_s=600)
    assert follow(hub, fresh).body == SAMPLES["daily"]
    over = link(event, destination, lifetime_s=-1)
    check_refused(follow(hub, over), 410, "link_expired")
    check_refused(follow(hub, link(event, destination, lifetime_s=-(10**9))), 410, "link_expired")

    revoke_payload_links(destination)
    for url in (fresh, over):
        check_refused(follow(hub, url), 404, "unknown_link")


@pytest.mark.parametrize(("lifetime_s", "length"), [(None, 64), (600, 72)])
def test_a_message_carries_a_link_as_lasting_as_its_type_asks(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, lifetime_s: int | None, length: int
) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook", config={"delivery": "ping"})
    event = take_in(hub, SAMPLES["daily"])
    adapter = build_adapter(destination)
    monkeypatch.setattr(adapter, "link_lifetime_s", lambda: lifetime_s)
    row = Claimed(1, event.pk, 0, 0, "schedule", event.type, "", "", "", {}, event.received_at, SAMPLES["daily"], "")
    message = message_of(row, target_of(destination, adapter))
    assert len(message.payload_url.rpartition("/")[2]) == length
    with time_machine.travel(timezone.now() + timedelta(seconds=700)):
        over = payload_is_refused(message.payload_url)
    assert over == (lifetime_s is not None)
    assert follow(hub, message.payload_url).body == SAMPLES["daily"]


def payload_is_refused(url: str) -> bool:
    try:
        payload_of(url.rpartition("/")[2])
    except LinkExpired:
        return True
    return False


def test_nobody_can_give_a_link_more_time(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    event = take_in(hub, SAMPLES["daily"])
    key, over = link_key(destination), expiry_after(-1)
    assert over
    raw = base64.urlsafe_b64decode(token_for(event.pk, destination.pk, key, over))
    longer = raw[:33] + (over + 3600).to_bytes(EXPIRY_BYTES) + raw[38:]
    lasting = raw[1:33] + raw[38:]
    other_version = b"\x02" + raw[1:]
    for forged in (longer, lasting, other_version):
        token = base64.urlsafe_b64encode(forged).decode()
        check_refused(follow(hub, f"/payloads/{token}"), 404, "unknown_link")


def test_links_of_earlier_versions_still_open(hub: Hub) -> None:
    """The format that rows in other databases hold: event, destination, 16 bytes of HMAC-SHA256."""
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    event = take_in(hub, SAMPLES["daily"])
    named = event.pk.bytes + destination.pk.bytes
    mac = hmac.digest(base64.b64decode(destination.link_secret["key"]), named, "sha256")
    token = base64.urlsafe_b64encode(named + mac[:16]).decode()
    assert follow(hub, f"/payloads/{token}").body == SAMPLES["daily"]
    assert link(event, destination).endswith(token)


def test_a_link_ends_with_its_destination(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    url = link(take_in(hub, SAMPLES["daily"]), destination)
    delete_destination(destination)
    check_refused(follow(hub, url), 404, "unknown_link")


def test_a_payload_that_is_gone(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:8099/hook")
    large, small = take_in(hub, body_of_size(MB)), take_in(hub, SAMPLES["daily"])
    discard_body(large.payload.store_name)
    Payload.objects.filter(event=small).delete()
    for event in (large, small):
        check_refused(follow(hub, link(event, destination)), 404, "unknown_link")
