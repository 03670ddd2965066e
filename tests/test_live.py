"""The live tail's stream on the real server: who may read it, what comes, and how it ends."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from tests.admin_support import Person, page_of
from tests.api_support import make_attempt, make_delivery, make_event, make_user
from tests.hub import Hub, own_hub, until
from tests.live_support import Reader, cookie_of, reading
from tests.sink import Sink
from webhooks.live.endpoint import PATH
from webhooks.live.feed import MOST_OF_ONE
from webhooks.live.rows import Cursor
from webhooks.models import Delivery, Event

CANARY = "canary-of-the-payload"
NAUGHTY = "<img src=x onerror=alert(1)>\u202eexe"


def is_event(row: Any) -> bool:
    return bool(row["kind"] == "event")


def is_attempt(row: Any) -> bool:
    return bool(row["kind"] == "attempt")


def test_events_and_attempts_come_as_they_happen_without_their_payload(hub: Hub) -> None:
    user = make_user("webhooks.view_event", "webhooks.view_delivery")
    with Sink() as sink, reading(hub.server, user) as reader:
        destination = hub.webhook(sink.url(), name=NAUGHTY)
        body = {"type": NAUGHTY, "user": {"user_id": "user-0123456789", "provider": NAUGHTY}, "data": CANARY}
        assert hub.post(json.dumps(body).encode()).status == 200
        event = reader.row(is_event)
        hub.worker()
        attempt = reader.row(is_attempt)

    row = Event.objects.get()
    assert event["url"] == page_of(row)
    assert event["key"] == f"e:{row.pk}"
    assert (event["type"], event["source"]) == ("<img src=x onerror=alert(1)>\\u202eexe", hub.source.slug)
    assert event["user"] == "user-012…"
    assert event["states"][0]["label"] == "Pending"
    assert attempt["url"] == page_of(Delivery.objects.get())
    assert attempt["states"][0]["label"] == "Delivered"
    assert attempt["states"][0]["name"].startswith("<img")
    assert attempt["says"].startswith("attempt 1 · HTTP 200 · ")
    assert CANARY not in reader.text
    assert "user-0123456789" not in reader.text
    assert destination.name not in reader.text, "nothing invisible"


def test_only_pages_of_the_hub_of_people_who_may_see_events_read_it(hub: Hub) -> None:
    may, may_not = make_user("webhooks.view_event"), make_user("webhooks.view_delivery")
    gone = make_user("webhooks.view_event")
    cookies, without, of_gone = cookie_of(may), cookie_of(may_not), cookie_of(gone)
    User.objects.filter(pk=gone.pk).update(is_staff=False)
    place = f"127.0.0.1:{hub.server.port}"

    def status(cookie: str, **headers: str) -> int:
        reader = Reader(hub.server, cookie, **headers)
        reader.close()
        return reader.status

    for refused in ("", "sessionid=guessed", without, of_gone):
        assert status(refused) == 403, refused
    for name, value in (
        ("Sec_Fetch_Site", "cross-site"), ("Sec_Fetch_Site", "same-site"), ("Sec_Fetch_Site", "none"),
        ("Origin", "https://elsewhere.example"), ("Origin", "null"), ("Host", "elsewhere.example"),
    ):  # fmt: skip
        assert status(cookies, **{name: value}) == 403, value
    assert status(cookies, Sec_Fetch_Site="same-origin", Origin=f"http://{place}") == 200
    assert hub.server.request("POST", PATH, b"", {"Cookie": cookies}).status == 405


def test_somebody_who_may_not_see_deliveries_sees_none(hub: Hub) -> None:
    with reading(hub.server, make_user("webhooks.view_event")) as reader:
        first = make_event(source=hub.source)
        make_attempt(make_delivery(first, hub.webhook("http://127.0.0.1:18999/hook", name="Hidden")), 1)
        row = reader.row(is_event)
        last = make_event(source=hub.source)
        seen = [row["key"], reader.row(lambda one: one["key"] == f"e:{last.pk}")["key"]]

    assert seen == [f"e:{first.pk}", f"e:{last.pk}"]
    assert row["states"] == []
    assert "Hidden" not in reader.text
    assert '"attempt"' not in reader.text


def test_filters_of_the_address_hold(hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:18999/hook")
    user = make_user("webhooks.view_event", "webhooks.view_delivery")
    queries = {
        "type=sleep": "type", "user_id=user-7": "user", f"source={hub.source.slug}": "source",
        f"destination={destination.pk}": "destination",
    }  # fmt: skip
    with ExitStack() as stack:
        readers = {name: stack.enter_context(reading(hub.server, user, query)) for query, name in queries.items()}
        events = {
            "none": make_event(), "type": make_event(type="sleep"), "user": make_event(user_id="user-7"),
            "source": make_event(source=hub.source), "destination": make_event(),
        }  # fmt: skip
        make_delivery(events["destination"], destination)
        last = make_event(source=hub.source, type="sleep", user_id="user-7")
        make_delivery(last, destination)
        for name, reader in readers.items():
            keys = []
            reader.row(lambda row, keys=keys: keys.append(row["key"]) or row["key"] == f"e:{last.pk}")
            assert set(keys) == {f"e:{events[name].pk}", f"e:{last.pk}"}, name


def sessions_of(user: User) -> list[str]:
    return [one.pk for one in Session.objects.all() if one.get_decoded()["_auth_user_id"] == str(user.pk)]


def test_a_stream_ends_with_its_session_and_with_the_right_to_look(hub: Hub) -> None:
    users = {name: make_user("webhooks.view_event") for name in ("logged out", "demoted", "no staff", "new password")}
    with ExitStack() as stack:
        readers = {name: stack.enter_context(reading(hub.server, user)) for name, user in users.items()}
        sessions = [
            one.pk for one in Session.objects.all() if one.get_decoded()["_auth_user_id"] == str(users["logged out"].pk)
        ]
        Session.objects.filter(pk__in=sessions).delete()
        users["demoted"].user_permissions.clear()
        User.objects.filter(pk=users["no staff"].pk).update(is_staff=False)
        users["new password"].set_password("another-password")
        users["new password"].save()

        for name, reader in readers.items():
            assert reader.end() == "logged_out", name


def test_one_person_has_a_few_streams_at_once(hub: Hub) -> None:
    user = make_user("webhooks.view_event")
    cookies = cookie_of(user)
    readers = [Reader(hub.server, cookies) for _ in range(MOST_OF_ONE + 1)]
    assert [reader.status for reader in readers] == [200] * MOST_OF_ONE + [429]

    readers[0].close()

    def room() -> bool:
        readers.append(Reader(hub.server, cookies))
        return readers[-1].status == 200

    until(room, what="there is room again")
    for reader in readers:
        reader.close()


def test_streams_hold_none_of_djangos_threads(hub: Hub) -> None:
    people = [make_user("webhooks.view_event") for _ in range(5)]
    with ExitStack() as stack:
        for person in people * MOST_OF_ONE:  # 20, where Django has 16 threads
            stack.enter_context(reading(hub.server, person))
        for _ in range(3):
            assert hub.server.request("GET", "/admin/login/").status == 200


def test_a_browser_that_comes_back_gets_what_it_missed_and_no_more(hub: Hub) -> None:
    user = make_user("webhooks.view_event")
    now = datetime.now(UTC)
    with reading(hub.server, user) as reader:
        seen = make_event(source=hub.source)
        reader.row(is_event)
        assert Cursor.parse(reader.last_id)
    make_event(now - timedelta(minutes=5), source=hub.source)
    missed = make_event(now - timedelta(minutes=1), source=hub.source)
    place = Cursor(int((now - timedelta(minutes=2)).timestamp() * 1000), 0)

    keys: set[str] = set()
    with reading(hub.server, user, Last_Event_ID=str(place)) as reader:
        last = make_event(source=hub.source)
        reader.row(lambda row: keys.add(row["key"]) or len(keys) == 3)
    assert keys == {f"e:{event.pk}" for event in (seen, missed, last)}


def test_the_server_stops_although_somebody_reads(transactional_db: None, tmp_path: Path) -> None:
    user = make_user("webhooks.view_event")
    with own_hub(tmp_path) as hub, reading(hub.server, user) as reader:
        make_event(source=hub.source)
        reader.row(is_event)

        process = hub.server.process
        assert process
        process.popen.terminate()

        assert reader.end() == "stopping"
        assert process.popen.wait(60) == 0


@pytest.mark.django_db
def test_the_polling_page_gives_the_same_rows() -> None:
    ana = Person("webhooks.view_event", "webhooks.view_delivery")
    event = make_event(type="sleep", user_id=NAUGHTY)
    first = json.loads(ana.get("/admin/live/rows/").source)
    assert [row["key"] for row in first["rows"]] == [f"e:{event.pk}"]
    assert first["rows"][0]["user"] == "<img src…"

    later = make_event(type="daily")
    other = make_event(type="sleep")
    both = json.loads(ana.get("/admin/live/rows/", 200, after=first["cursor"]).source)
    assert {row["key"] for row in both["rows"]} == {f"e:{later.pk}", f"e:{other.pk}"}
    second = json.loads(ana.get("/admin/live/rows/", 200, after=first["cursor"], type="daily").source)
    assert [row["key"] for row in second["rows"]] == [f"e:{later.pk}"]
    assert str(other.pk) not in json.dumps(second)
    for junk in ("x", "1-", "9" * 40 + "-1", "٣-٣"):
        ana.get("/admin/live/rows/", 200, after=junk)
    Person("webhooks.view_delivery").get("/admin/live/rows/", 403)
    Person("webhooks.view_delivery").get("/admin/live/", 403)
