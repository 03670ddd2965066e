"""Who saw which payload is written down, for users and for keys, and shown together in the admin."""

import pytest
from django.contrib.admin.models import LogEntry

from destinations.access.actors import Actor
from destinations.services import Refused
from tests.admin_support import EVENTS, QUARANTINE, Person
from tests.api_support import Api, make_event
from tests.keys_support import api_of
from tests.test_admin_quarantine import refused
from webhooks.keeping.payload_views import ON_COMMAND_LINE, read_payload
from webhooks.models import Payload, PayloadView

pytestmark = pytest.mark.django_db


def noted() -> tuple[list[str], list[tuple[str, str]]]:
    """Return what stands in the admin's log, and what of others."""
    entries = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    return entries, list(PayloadView.objects.order_by("pk").values_list("viewer", "how"))


def test_a_user_is_noted_in_the_admins_log_and_a_key_beside_it() -> None:
    event = make_event()
    ana, script = Api("webhooks.view_event", "webhooks.view_payload"), api_of("payloads:read", name="nightly")

    for caller in (ana, script):
        assert caller.client.get(f"/api/v1/events/{event.pk}/payload").getvalue() == b'{"type":"daily"}'

    entries, views = noted()
    assert entries == ["Payload downloaded over the API."]
    ((viewer, how),) = views
    assert viewer.startswith("API key nightly (hub_live_")
    assert how == "downloaded over the API"


def test_the_history_of_an_event_and_of_a_refused_request_shows_both() -> None:
    ana, script = Person(), api_of("payloads:read", name="nightly")
    for row, page, path in ((make_event(), EVENTS, "events/{}/payload"), (refused(), QUARANTINE, "quarantine/{}/body")):
        assert "Nobody has done anything to it yet." in ana.get(f"{page}{row.pk}/history/").text
        script.client.get("/api/v1/" + path.format(row.pk))
        alone = ana.get(f"{page}{row.pk}/history/").text
        assert "API key nightly" in alone
        assert "Nobody has done anything" not in alone
        ana.get(f"{page}{row.pk}/payload/")
        both = ana.get(f"{page}{row.pk}/history/").text
        assert "Payload viewed." in both
        assert "Downloaded over the API." in both
        assert ana.user.get_username() in both


def test_nothing_is_noted_of_bytes_that_cannot_be_had_or_may_not_be_seen() -> None:
    event = make_event()
    api_of("events:read").get(f"events/{event.pk}/payload", 403)
    Payload.objects.all().delete()

    with pytest.raises(Refused) as refusal:
        read_payload(event, Actor("command line (root)"), ON_COMMAND_LINE)

    assert refusal.value.code == "payload_gone"
    assert noted() == ([], [])


def test_a_command_line_is_noted_before_the_first_byte() -> None:
    pieces = read_payload(make_event(), Actor("command line (root)"), ON_COMMAND_LINE)

    assert noted() == ([], [("command line (root)", "shown on the command line")])
    assert b"".join(pieces) == b'{"type":"daily"}'
