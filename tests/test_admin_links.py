"""Payload links are revoked in the admin and over the API."""

import pytest

from tests.admin_support import Person
from tests.api_support import Api, make_delivery, make_destination, make_event
from webhooks.keeping.links import link_key, payload_url

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


def test_revoked_links_open_nothing_any_more() -> None:
    ana = Person()
    row, event = make_destination(), make_event()
    make_delivery(event, row)
    link = payload_url(event.pk, row.pk, link_key(row)).partition("http://localhost:8000")[2]
    assert ana.client.get(link).status_code == 200

    assert "This cannot be undone" in ana.press(row, "revoke_links").text
    assert ana.client.get(link).status_code == 200, "it was asked only"
    page = ana.press(row, "revoke_links", sure="yes")

    assert "Deliveries from now on carry links that work." in page.text
    assert ana.client.get(link).status_code == 404


def test_links_are_revoked_over_the_api_and_later_ones_open() -> None:
    api = Api("destinations.change_destination")
    row, event = make_destination(), make_event()
    make_delivery(event, row)

    def link() -> str:
        row.refresh_from_db()
        return payload_url(event.pk, row.pk, link_key(row)).partition("http://localhost:8000")[2]

    before = link()
    assert api.client.get(before).status_code == 200
    assert api.post(f"destinations/{row.pk}/revoke-links")["id"] == str(row.pk)
    assert api.client.get(before).status_code == 404
    assert api.client.get(link()).status_code == 200
