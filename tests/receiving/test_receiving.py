"""What Terra gets when it posts, and what is stored then. Over HTTP, against the running server."""

import pytest

from tests.hub import SAMPLES, Hub
from webhooks.keeping.payloads import read_body
from webhooks.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_sample_is_taken_and_kept_byte_for_byte(hub: Hub) -> None:
    for name, body in SAMPLES.items():
        answer = hub.post(body)
        assert answer.status == 200, (name, answer.body)
        event = Event.objects.get(pk=answer.json["event_id"])
        assert read_body(event.payload) == body, name
