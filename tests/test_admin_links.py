"""Payload links are revoked in the admin."""

import pytest

from tests.admin_support import Person
from tests.api_support import make_delivery, make_destination, make_event
from webhooks.keeping.links import link_key, payload_url

pytestmark = pytest.mark.django_db


def test_revoked_links_open_nothing_any_more() -> None:
    ana = Person()
    row, event = make_destination(), make_event()
    make_delivery(event, row)
    link = payload_url(event.pk, row.pk, link_key(row)).partition("http://localhost:8000")[2]
    assert ana.client.get(link).status_code == 200

    page = ana.press(row, "revoke_links")

    assert "Deliveries from now on carry links that work." in page.text
    assert ana.client.get(link).status_code == 404
