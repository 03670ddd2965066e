"""Before a destination is saved: its id, its set-up text and its check agree with what it is afterwards."""

import json
import re
from typing import Any

import pytest

from destinations import drafts, services
from destinations.models import Destination
from destinations.registry import adapter_class
from destinations.services import Refused
from destinations.setups import setup_of
from tests.admin_support import DESTINATIONS, Page, Person
from tests.api_support import make_destination, make_user
from tests.services.gcs import key_file
from tests.test_admin_destinations import HOOK, LIMITS

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]

ROLE_ARN = "arn:aws:iam::123456789012:role/terra-hub"
S3 = {"name": "Archive", "config.bucket": "acme-terra", "config.region": "eu-west-1", **LIMITS}
ROLE = {**S3, "config.auth": "role", "config.role_arn": ROLE_ARN}
ADD_S3 = f"{DESTINATIONS}add/?type=s3"
SETUP = f"{DESTINATIONS}add/setup/"
CANARY = "typed-secret-7f3a91"


@pytest.fixture
def ana() -> Person:
    return Person()


def external_id(page: Page) -> str:
    found = re.findall(r"terra-hub-[0-9a-f]{8}-[0-9a-f-]{27}", page.source)
    assert len(set(found)) == 1, set(found)
    return str(found[0])


def draft_of(page: Page) -> str:
    return str(page.value("draft"))


# --- one external id -------------------------------------------------------------------------------
def test_the_external_id_is_the_same_before_and_after_saving(ana: Person) -> None:
    form = ana.get(ADD_S3)
    typed = {**ROLE, "draft": draft_of(form)}

    beside = ana.post(f"{SETUP}?type=s3", **typed)
    saved = ana.post(ADD_S3, **typed)

    made = Destination.objects.get()
    assert external_id(beside) == external_id(saved) == f"terra-hub-{made.pk}"


def test_a_check_before_saving_speaks_for_the_destination_to_be(ana: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(services, "check_draft", lambda *about: asked.append(about[3]) or [])
    form = ana.get(ADD_S3)

    ana.post(f"{DESTINATIONS}add/check/?type=s3", **ROLE, draft=draft_of(form))
    ana.post(ADD_S3, **ROLE, draft=draft_of(form))

    assert asked == [str(Destination.objects.get().pk)]


def test_after_an_error_the_form_goes_on_with_the_same_id(ana: Person) -> None:
    draft = draft_of(ana.get(ADD_S3))

    again = ana.post(ADD_S3, **{**ROLE, "config.bucket": "", "draft": draft})

    assert draft_of(again) == draft
    assert again.value("config.role_arn") == ROLE_ARN, "the input stays"


def test_a_form_that_was_saved_already_makes_no_second_destination_under_its_id(ana: Person) -> None:
    draft = draft_of(ana.get(ADD_S3))
    ana.post(ADD_S3, **ROLE, draft=draft)

    again = ana.post(ADD_S3, **{**ROLE, "name": "Another"}, draft=draft)

    assert "A destination was made of this form already" in again.text
    assert draft_of(again) != draft
    assert Destination.objects.count() == 1
    ana.post(ADD_S3, **{**ROLE, "name": "Another"}, draft=draft_of(again))
    assert Destination.objects.count() == 2


@pytest.mark.parametrize("kind", ["forged", "another's", "chosen"])
def test_nobody_chooses_the_id(ana: Person, kind: str) -> None:
    victim = make_destination("victim")
    drafts_of = {
        "forged": drafts.new_draft(ana.user)[:-1] + "~",
        "another's": drafts.new_draft(make_user()),
        "chosen": str(victim.pk),
    }

    beside = ana.post(f"{SETUP}?type=s3", **ROLE, draft=drafts_of[kind])
    page = ana.post(ADD_S3, **ROLE, draft=drafts_of[kind])

    assert str(victim.pk) not in beside.source + page.source.replace(page_links(victim), "")
    assert "shown when the destination is saved" in beside.text
    assert "the form is somebody else" in page.text
    assert Destination.objects.count() == 1


def page_links(row: Destination) -> str:
    return f"destination/{row.pk}/"


def test_a_taken_id_is_refused_by_the_use_case_too() -> None:
    row = make_destination("first")
    config = {"url": "http://127.0.0.1:18999/hook"}

    with pytest.raises(Refused) as refused:
        services.create_destination(type="webhook", name="second", config=config, credentials={}, id=row.pk)
    assert "was made of this form already" in str(refused.value.errors)
    assert Destination.objects.count() == 1


# --- the panel -------------------------------------------------------------------------------------
def test_the_set_up_follows_what_is_typed_and_names_what_is_missing(ana: Person) -> None:
    empty = ana.get(ADD_S3)
    assert "Bucket, Region" in empty.text
    assert "arn:aws:s3:::YOUR_BUCKET/" in empty.source

    half = ana.post(f"{SETUP}?type=s3", **{"config.bucket": "acme-terra", "config.prefix": "p/q"})

    assert "arn:aws:s3:::acme-terra/p/q/*" in half.source
    assert half.find("pre", id="setup-text")
    assert half.find("pre", id="setup-text-terraform")
    assert "Region" in half.text
    assert "Bucket, Region" not in half.text
    assert not Destination.objects.exists()


@pytest.mark.parametrize("kind", ["webhook", "postgres", "mysql", "supabase", "s3", "gcs", "azureblob", "sqs"])
def test_every_type_has_a_set_up_before_a_word_is_typed(ana: Person, kind: str) -> None:
    page = ana.get(f"{DESTINATIONS}add/", type=kind)
    texts = page.find("pre", id="setup-text")
    assert len(texts) == 1
    assert bool(page.find("pre", id="setup-text-terraform")) is (kind not in ("webhook", "supabase"))


def test_what_a_fields_rules_refuse_never_stands_in_a_script(ana: Person) -> None:
    hostile = "x; rm -rf ~ $(id) `id` <b>"
    for kind, name in (("s3", "bucket"), ("gcs", "bucket"), ("azureblob", "container"), ("postgres", "database")):
        page = ana.post(f"{SETUP}?type={kind}", **{f"config.{name}": hostile})
        assert "rm -rf" not in page.source, kind
        assert "or not right" in page.text


def test_the_tab_that_was_open_stays_open(ana: Person) -> None:
    page = ana.post(f"{SETUP}?type=s3", setup_tab="terraform")
    assert "checked" in page.find("input", name="setup_tab", value="terraform")[0]
    assert "checked" not in page.find("input", name="setup_tab", value="steps")[0]


def test_no_typed_secret_is_in_a_set_up(ana: Person) -> None:
    page = ana.post(f"{SETUP}?type=s3", **{**S3, "credentials.secret_access_key": CANARY})
    assert CANARY not in page.source
    assert "no-store" in page.headers["Cache-Control"]


def test_the_panel_of_a_saved_destination_follows_its_form(ana: Person) -> None:
    config = {"bucket": "acme-terra", "region": "eu-west-1", "auth": "role", "role_arn": ROLE_ARN}
    row = services.create_destination(type="s3", name="Archive", config=config, credentials={}).destination
    path = f"{DESTINATIONS}{row.pk}/setup/"
    assert ana.look(row).find("div", id="setup-parts", **{"hx-post": path})

    page = ana.post(path, **{**ROLE, "config.bucket": "other-bucket"})

    assert "arn:aws:s3:::other-bucket/" in page.source
    assert external_id(page) == f"terra-hub-{row.pk}"
    row.refresh_from_db()
    assert row.config["bucket"] == "acme-terra"


def test_who_may_only_look_sees_the_set_up_of_what_is_stored_and_cannot_try_others() -> None:
    key = {"service_account_key": json.dumps(key_file("terra-hub@acme.iam.gserviceaccount.com", "0"))}
    row = services.create_destination(
        type="gcs", name="Lake", config={"bucket": "acme-terra"}, credentials=key
    ).destination
    viewer = Person("destinations.view_destination")

    assert "gs://acme-terra" in viewer.look(row).source
    assert not viewer.look(row).find("div", id="setup-parts", **{"hx-post": f"{DESTINATIONS}{row.pk}/setup/"})
    viewer.post(f"{DESTINATIONS}{row.pk}/setup/", 403)
    viewer.post(f"{SETUP}?type=s3", 403)


def test_a_set_up_is_asked_for_by_post_and_for_types_that_there_are(ana: Person) -> None:
    ana.get(SETUP, 405, type="s3")
    ana.post(f"{SETUP}?type=pigeon", 404)
    ana.post(f"{DESTINATIONS}0198f3c2-7b7e-7c3a-9a52-0d4f6f0f9b11/setup/", 404)


def test_stand_ins_are_for_what_is_asked_for_only() -> None:
    made = setup_of(adapter_class("sqs"), {}, "")
    assert made.missing == ["Queue"]
    assert "YOUR_QUEUE" in made.parts[0].text
    assert '"Resource": "*"' not in made.parts[0].text


# --- the form --------------------------------------------------------------------------------------
def test_scripts_know_what_to_trim_and_what_to_keep(ana: Person) -> None:
    page = ana.get(f"{DESTINATIONS}add/?type=webhook")

    assert page.find("input", name="credentials.token", type="password", **{"data-hub-trim": ""})
    assert page.find("textarea", name="config.headers", **{"data-hub-unkept": ""})
    assert page.find("span", **{"data-hub-draft": f"{ana.user.pk} webhook"})
    (paste,) = page.find("input", id="hub-paste")
    assert "name" not in paste


def test_saved_secrets_lose_the_spaces_that_came_with_a_paste(ana: Person) -> None:
    form: dict[str, Any] = {**HOOK, "config.auth": "bearer", "credentials.token": f" {CANARY}\n"}
    ana.post(f"{DESTINATIONS}add/?type=webhook", **form)
    assert Destination.objects.get().credentials["token"] == CANARY
