"""The admin, the API and the command line are faces of one hub: what one of them changes, the others show."""

import pytest

from destinations.models import Destination
from tests.admin_support import Person
from tests.api_support import Api, history, make_destination
from tests.cli.support import hub
from webhooks.models import Source

pytestmark = pytest.mark.django_db


def test_what_the_command_line_changes_the_api_and_the_admin_show() -> None:
    row = make_destination("orders")
    api, person = Api(superuser=True), Person()

    hub("destinations", "pause", "orders")
    assert api.get(f"destinations/{row.pk}")["paused"] is True
    assert "Paused" in person.look(row).text
    hub("destinations", "set", "orders", "--name", "renamed", "--timeout-s", "7")
    assert (api.get(f"destinations/{row.pk}")["name"], person.look(row).value("timeout_s")) == ("renamed", "7")
    hub("destinations", "remove", "renamed", "--yes")
    api.get(f"destinations/{row.pk}", 404)
    assert history(row)[-1].startswith("deleted by command line (")


def test_what_the_api_and_the_admin_change_the_command_line_shows() -> None:
    row = make_destination("orders")
    api, person = Api(superuser=True), Person()

    api.post(f"destinations/{row.pk}/pause")
    assert "Paused" in hub("destinations", "list").out
    person.press(row, "resume")
    assert hub("destinations", "show", "orders", "--json").json["paused"] is False
    api.patch(f"destinations/{row.pk}", {"name": "renamed"})
    assert hub("destinations", "show", "renamed", "--json").json == api.get(f"destinations/{row.pk}")


def test_a_destination_made_anywhere_is_the_same_everywhere() -> None:
    api = Api(superuser=True)
    hub("destinations", "add", "--type", "webhook", "--name", "one", "--set", "url=http://127.0.0.1:18999/hook")
    api.post("destinations", {"type": "webhook", "name": "two", "config": {"url": "http://127.0.0.1:18999/hook"}}, 201)

    one, two = Destination.objects.get(name="one"), Destination.objects.get(name="two")

    told = [{k: v for k, v in row.items() if k in ("type", "config", "event_types", "timeout_s", "schedule")}
            for row in api.get("destinations")["data"]]  # fmt: skip
    assert told[0] == told[1]
    assert one.credentials.keys() == two.credentials.keys()


def test_a_source_made_on_the_command_line_is_in_the_admin() -> None:
    hub("sources", "add", "clinic", env={"HUB_SECRET_SECRET": "secret-of-terra"})
    page = Person().look(Source.objects.get(slug="clinic"))
    assert "by command line (" in page.text


def test_json_is_what_the_api_answers() -> None:
    api = Api(superuser=True)
    hub("sources", "add", "clinic", env={"HUB_SECRET_SECRET": "secret-of-terra"})
    hub("keys", "add", "dash", "--scopes", "destinations:read")
    make_destination("orders")
    for name in ("sources", "destinations"):
        assert hub(name, "list", "--json").json == api.get(name)["data"]
    assert hub("sources", "show", "clinic", "--json").json == api.get("sources/clinic")
    assert hub("keys", "list", "--json").json == api.get("api-keys")["data"]
