"""An Azure Blob destination from the form or the API to a blob in the container: secrets go in and never come out."""

import json
from typing import Any

import pytest

from destinations.models import Destination
from destinations.services import create_destination
from tests.adapters.azureblob_support import Place
from tests.admin_support import DESTINATIONS, Person
from tests.api_support import Api, messages
from tests.hub import SAMPLES, Hub, until
from tests.services.authority import Authority
from tests.services.azurite import new_key
from webhooks.models import Attempt

pytestmark = pytest.mark.django_db

SECRET = "canary7f3a91+/0123456789abcdefghijklmnopqrs="
TOKEN = f"sv=2021-12-02&sr=c&sp=rcw&se=2099-01-01T00%3A00%3A00Z&sig={SECRET}"
SHOWN = {"sas_permissions": "rcw", "sas_expires": "2099-01-01T00:00:00Z", "sas_policy": None}
NEW = {"account": "acme", "container": "events"}


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


def body_of(credentials: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {"type": "azureblob", "name": "archive", "config": {**NEW, **config}, "credentials": credentials}


def is_nowhere(*texts: str) -> None:
    assert [text for text in texts if SECRET[:20] in text or "canary7f3a91%2B" in text] == []


def test_a_pasted_token_reads_back_as_what_it_allows(api: Api) -> None:
    made = api.post("destinations", body_of({"sas_token": f"https://acme.blob.core.windows.net/events?{TOKEN}"}), 201)
    assert made["target"] == "https://acme.blob.core.windows.net/events"
    assert {name: made["credentials"][name] for name in ("has_sas_token", *SHOWN)} == {"has_sas_token": True, **SHOWN}
    stored = Destination.objects.get().credentials["sas_token"]
    assert stored.endswith("&sig=canary7f3a91%2B%2F0123456789abcdefghijklmnopqrs%3D")
    is_nowhere(json.dumps(made), json.dumps(api.get("destinations")))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (body_of({}), "credentials.sas_token"),
        (body_of({"account_key": new_key()}), "credentials.sas_token"),
        (body_of({"sas_token": TOKEN}, auth="account_key"), "credentials.account_key"),
        (body_of({"sas_token": TOKEN.replace("sr=c", "sr=b")}), "credentials.sas_token"),
        (body_of({"account_key": f"{SECRET}?"}, auth="account_key"), "credentials.account_key"),
        (body_of({"sas_token": TOKEN}, endpoint_url="http://10.0.0.8:10000/acme"), "config.endpoint_url"),
        (body_of({"sas_token": TOKEN}, endpoint_url="http://169.254.169.254"), "config.endpoint_url"),
        (body_of({"sas_token": TOKEN}, container="a/b"), "config.container"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(api: Api, body: dict[str, Any], field: str) -> None:
    problem = api.post("destinations", body, 400)
    assert list(messages(problem)) == [field]
    is_nowhere(json.dumps(problem))


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"account": "other"},
        {"container": "others"},
        {"endpoint_url": "https://blobs.example.com"},
        {"ca_certificate": Authority().pem},
    ],
    ids=lambda elsewhere: next(iter(elsewhere)),
)
def test_another_place_asks_for_the_token_again(api: Api, elsewhere: dict[str, str]) -> None:
    made = api.post("destinations", body_of({"sas_token": TOKEN}), 201)
    path = f"destinations/{made['id']}"
    problem = api.patch(path, {"config": elsewhere}, 400)
    assert list(messages(problem)) == ["credentials.sas_token"]
    api.patch(path, {"config": elsewhere, "credentials": {"sas_token": TOKEN}})
    api.patch(path, {"config": {"prefix": "terra"}})


def test_the_page_shows_the_commands_and_no_secret() -> None:
    person = Person()
    create_destination(type="azureblob", name="archive", config=NEW, credentials={"sas_token": TOKEN})
    page = person.look(Destination.objects.get())
    assert "ACCOUNT=acme" in page.text
    assert "--permissions rcw" in page.text
    assert "2099-01-01T00:00:00Z" in page.text
    is_nowhere(page.source)
    assert person.get(f"{DESTINATIONS}add/?type=azureblob").find("select", name="config.auth")


@pytest.mark.django_db(transaction=True)
def test_every_sample_that_is_posted_becomes_a_blob(hub: Hub, azure_place: Place) -> None:
    create_destination(
        type="azureblob", name="archive", config={**azure_place.config, "prefix": "terra"}, sources=[hub.source.slug],
        credentials=azure_place.token(),
    )  # fmt: skip
    bodies = {name: body for name, body in SAMPLES.items() if name != "activity-large"}  # it shares a key with another
    posted = {hub.post(body, trace=name).json["event_id"]: body for name, body in bodies.items()}
    hub.worker()
    until(lambda: Attempt.objects.filter(outcome="delivered").count() == len(posted), what="every sample is delivered")
    assert {one.event_id: one.body for one in azure_place.stored()} == posted
    assert all(name.startswith("terra/") for name in azure_place.blobs())
