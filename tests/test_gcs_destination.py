"""A GCS destination from the form or the API to an object in the bucket: the key goes in and never comes out."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from destinations import services
from destinations.adapters.gcs_key import TOKEN_URI, rebuilt
from destinations.models import Destination
from destinations.uploads import MAX_BYTES
from tests.adapters.gcs_support import Place
from tests.admin_support import DESTINATIONS, Person, page_of
from tests.api_support import Api, history, messages
from tests.hub import SAMPLES, Hub, until
from tests.services.gcs import key_file
from tests.test_admin_destinations import LIMITS
from webhooks.models import Attempt

pytestmark = pytest.mark.django_db

EMAIL = "terra-hub@my-project.iam.gserviceaccount.com"
KEY = key_file(EMAIL, "0123456789abcdef0123456789abcdef01234567")
OTHER_EMAIL = "other@my-project.iam.gserviceaccount.com"
ADD = f"{DESTINATIONS}add/?type=gcs"
DRAFT = f"{DESTINATIONS}add/check/?type=gcs"
FIELD = "credentials.service_account_key"
FORM = {"name": "Archive", "config.bucket": "my-bucket", "config.prefix": "", **LIMITS}
SECRETS = [KEY["private_key_id"], *KEY["private_key"].splitlines()[1:-2]]


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


def file_of(content: Any, name: str = "key.json") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content if isinstance(content, bytes) else json.dumps(content).encode())


# --- the form -----------------------------------------------------------------------------------------
def test_the_form_takes_a_file_or_its_text_without_scripts(ana: Person) -> None:
    page = ana.get(ADD)

    assert page.find("input", name=FIELD, type="file")
    assert page.find("textarea", name=FIELD)
    assert page.find("form", id="destination_form", enctype="multipart/form-data")


GOOD: dict[str, Any] = {
    "uploaded": json.dumps(KEY).encode(),
    "uploaded with a byte order mark": b"\xef\xbb\xbf" + json.dumps(KEY).encode(),
    "pasted": f"\n{json.dumps(KEY, indent=2)}\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_key_that_is_uploaded_or_pasted_is_stored_rebuilt_and_not_shown(ana: Person, name: str) -> None:
    page = ana.post(ADD, **{**FORM, FIELD: file_of(GOOD[name]) if name.startswith("uploaded") else GOOD[name]})

    made = Destination.objects.get()
    assert made.credentials == {"service_account_key": rebuilt(KEY)}
    assert f"Set: {EMAIL}, changed" in page.text
    assert "gs://my-bucket --member" in page.text  # the commands to run, filled in
    assert history(made) == ["created"]
    _is_nowhere(page.source, ana.look(made).source, ana.get(f"{page_of(made).replace('/change/', '/history/')}").source)


def test_a_file_wins_over_text_and_no_file_keeps_what_is_stored(ana: Person) -> None:
    ana.post(ADD, **{**FORM, FIELD: [file_of(KEY), "pasted"]})
    row = Destination.objects.get()

    ana.post(page_of(row), **{**FORM, "name": "Renamed", "version": str(row.version)})
    row.refresh_from_db()
    assert (row.name, row.credentials) == ("Renamed", {"service_account_key": rebuilt(KEY)})

    replaced = KEY | {"client_email": OTHER_EMAIL}
    page = ana.post(page_of(row), **{**FORM, "version": str(row.version), FIELD: file_of(replaced)})
    row.refresh_from_db()
    assert row.credentials == {"service_account_key": rebuilt(replaced)}
    assert f"Set: {OTHER_EMAIL}, changed" in page.text
    assert "credentials changed: service_account_key" in history(row)[-1]


WRONG: dict[str, tuple[Any, str]] = {
    "a PEM": (KEY["private_key"].encode(), "PEM text"),
    "a log-in": ({"type": "authorized_user", "refresh_token": "x"}, "log-in"),
    "an OAuth client": ({"installed": {"client_id": "x"}}, "OAuth client"),
    "a PKCS #12 file": (b"\x30\x82\x0a\xff\xfe\x00", "not text"),
    "too large": (b"x" * 20_000, "Larger than 16 KB"),
    "far too large": (b"x" * 3_000_000, "Larger than 16 KB"),
    "empty": (b"", "required"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_at_its_field_and_touches_no_disk(
    ana: Person, settings: LazySettings, tmp_path: Path, name: str
) -> None:
    content, said = WRONG[name]
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "nowhere")  # where Django would fail to write it

    page = ana.post(ADD, **{**FORM, FIELD: file_of(content)})

    assert said in page.text
    assert "type them again" in page.text
    assert not Destination.objects.exists()
    _is_nowhere(page.source)


def test_of_a_large_file_only_a_beginning_is_kept(ana: Person) -> None:
    from django.test import RequestFactory

    request = RequestFactory().post("/", {"a": file_of(b"x" * 3_000_000), "b": file_of(KEY)})

    assert len(request.FILES["a"].read()) == MAX_BYTES
    assert json.loads(request.FILES["b"].read()) == KEY


def test_the_key_lies_sealed_and_in_no_log_of_changes(ana: Person) -> None:
    ana.post(ADD, **{**FORM, FIELD: file_of(KEY)})

    with connection.cursor() as cursor:
        for table in ("destinations_destination", "destinations_historicaldestination"):
            cursor.execute(f"SELECT * FROM {table}")
            rows = repr(cursor.fetchall())
            assert "my-bucket" in rows
            _is_nowhere(rows)
    _is_nowhere(repr(list(LogEntry.objects.values_list("change_message"))), repr(ana.client.session.items()))


def test_a_set_up_is_checked_with_the_file_before_it_is_saved(
    ana: Person, place: Place, settings: LazySettings
) -> None:
    _point_to(place, settings)
    form = {**FORM, "config.bucket": place.bucket}

    page = ana.post(DRAFT, **{**form, FIELD: file_of(place.key)})
    wrong = ana.post(DRAFT, **{**form, FIELD: file_of(place.key | {"private_key_id": "deleted"})})

    assert f"{place.key['client_email']} has a token." in page.text
    assert "The object is deleted." in page.text
    assert "the key was deleted, or is another account's" in wrong.text
    assert not Destination.objects.exists()
    assert place.objects() == {}


# --- the API ------------------------------------------------------------------------------------------------
def body_of(key: Any, **more: Any) -> dict[str, Any]:
    config = {"bucket": "my-bucket"}
    return {"type": "gcs", "name": "archive", "config": config, "credentials": {"service_account_key": key}, **more}


@pytest.mark.parametrize("sent", [KEY, json.dumps(KEY)], ids=["object", "text"])
def test_over_the_api_a_key_is_an_object_or_text_and_reads_back_as_its_account(api: Api, sent: Any) -> None:
    made = api.post("destinations", body_of(sent), 201)

    shown = {"has_service_account_key": True, "service_account_email": EMAIL}
    assert made["credentials"] == shown
    assert api.get(f"destinations/{made['id']}")["credentials"] == shown
    assert made["target"] == "gs://my-bucket"
    stored = json.loads(Destination.objects.get().credentials["service_account_key"])
    assert stored["token_uri"] == TOKEN_URI
    assert sorted(stored) == sorted([
        "type", "client_email", "private_key", "private_key_id", "project_id", "token_uri",
    ])  # fmt: skip
    _is_nowhere(json.dumps(api.get("destinations")), json.dumps(made))


def test_a_wrong_key_is_refused_by_field_without_a_word_of_it(api: Api) -> None:
    half = KEY | {"private_key": KEY["private_key"][:500]}
    for sent in (KEY | {"type": "external_account"}, KEY["private_key"], half, [KEY]):
        problem = api.post("destinations", body_of(sent), 400)
        assert list(messages(problem)) == ["credentials.service_account_key"]
        _is_nowhere(json.dumps(problem))
    assert messages(api.post("destinations", body_of(""), 400)) == {
        "credentials.service_account_key": "This field is required."
    }


def test_another_bucket_asks_for_the_key_again(api: Api) -> None:
    made = api.post("destinations", body_of(KEY), 201)
    path, elsewhere = f"destinations/{made['id']}", {"config": {"bucket": "another-bucket"}}

    problem = api.patch(path, elsewhere, 400)
    moved = api.patch(path, {**elsewhere, "credentials": {"service_account_key": KEY}})

    assert "credentials.service_account_key" in messages(problem)
    assert moved["target"] == "gs://another-bucket"
    assert api.patch(path, {"config": {"prefix": "terra"}})["target"] == "gs://another-bucket/terra"


def test_the_api_describes_the_field(api: Api) -> None:
    kind = next(one for one in api.get("destination-types")["data"] if one["type"] == "gcs")
    (field,) = kind["credentials"]

    assert (field["upload"], field["secret"], field["required"]) == (True, True, True)


# --- a running hub ------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_every_sample_that_is_posted_becomes_an_object(hub: Hub, place: Place) -> None:
    services.create_destination(
        type="gcs", name="archive", config={"bucket": place.bucket, "prefix": "terra"}, sources=[hub.source.slug],
        credentials={"service_account_key": place.key},
    )  # fmt: skip
    bodies = {name: body for name, body in SAMPLES.items() if name != "activity-large"}  # it shares a key with another
    posted = {hub.post(body, trace=name).json["event_id"]: body for name, body in bodies.items()}
    worker = hub.worker(**place.server.environment)
    until(lambda: Attempt.objects.filter(outcome="delivered").count() == len(posted), what="every sample is delivered")

    assert {one.event_id: one.body for one in place.stored()} == posted
    attempt = Attempt.objects.filter(outcome="delivered").first()
    assert attempt
    assert attempt.request["bucket"] == place.bucket
    assert attempt.request["key"].startswith("terra/")
    _is_nowhere(worker.output(), repr(list(Attempt.objects.values_list("request", "response", "error_detail", "hint"))))


def _point_to(place: Place, settings: LazySettings) -> None:
    for name, value in place.server.environment.items():
        setattr(settings, name, value)


def _is_nowhere(*texts: str) -> None:
    assert [secret for secret in SECRETS for text in texts if secret in text] == []
