"""A replay that is started over the API: what it takes to estimate it holds up no event that comes in."""

import threading
from typing import Any

import pytest

from tests.api_support import Api, in_a_thread
from tests.hub import Hub
from tests.replays.stage import seed
from tests.sink import Sink
from webhooks.keeping import replays
from webhooks.keeping.estimates import Estimate, estimate
from webhooks.models import Replay

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Hold an estimate once it has read, as over a table where that takes long: (it has read, it may end)."""
    has_read, may_end = threading.Event(), threading.Event()

    def slowly(*selection: Any) -> Estimate:
        found = estimate(*selection)
        has_read.set()
        assert may_end.wait(60)
        return found

    monkeypatch.setattr(replays, "estimate", slowly)
    return has_read, may_end


@pytest.mark.parametrize("headers", [{}, {"HTTP_IDEMPOTENCY_KEY": "once"}])
def test_an_event_comes_in_while_a_replay_is_estimated(
    hub: Hub, held: tuple[threading.Event, threading.Event], headers: dict[str, str]
) -> None:
    with Sink() as sink:
        destination = hub.webhook(sink.url("/hook"))
        seed(hub.source, 3)
        api, answers = Api("webhooks.add_replay", "webhooks.view_replay"), []
        api.client.defaults.update(headers)
        body = {"kind": "missing", "destinations": [str(destination.pk)]}
        has_read, may_end = held

        asking = in_a_thread(lambda: answers.append(api.post("replays", body, 202)))
        try:
            assert has_read.wait(60)
            assert hub.post(b'{"type":"daily"}').status == 200
            assert not Replay.objects.exists()
        finally:
            may_end.set()
            asking.join(60)

        assert answers[0]["estimate"] == 3
        may_end.set()
        again = api.post("replays", body, 202)
        assert (again["id"] == answers[0]["id"]) is bool(headers)
