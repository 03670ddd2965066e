"""Sources over the API: made, changed, their secrets rotated, tried with a sample; and what never comes back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from destinations.crypto import generate_key
from destinations.terra import EVENT_TYPES
from tests.api_support import CANARY, Api, at_once, make_destination, make_source, messages
from tests.control_support import key_api
from tests.stats.support import tally_events
from webhooks.models import HOUR_S, Delivery, Event, ReceivedTally, Source
from webhooks.receiving.sources import MOST_ADDRESSES, MOST_SECRETS, add_signing_secret, update_source

pytestmark = pytest.mark.django_db

SECRET = "a-signing-secret-from-terra-9x3q"
BODY = {"slug": "production", "name": "Production", "secret": SECRET}


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


# --- making and reading ---------------------------------------------------------------------------
def test_a_new_source_tells_its_webhook_url_and_not_its_secret(api: Api, settings: LazySettings) -> None:
    made = api.post("sources", BODY, 201)

    assert made["webhook_url"] == f"{settings.PUBLIC_URL}/webhooks/terra/production"
    assert api.get("sources/production") == made
    assert api.get("sources")["data"] == [made]
    (secret,) = made["signing_secrets"]
    assert (secret["masked"], secret["current"], secret["not_after"]) == (f"****{SECRET[-4:]}", True, None)
    assert secret["changed_by"] == api.user.username
    assert SECRET not in json.dumps(made)
    assert Source.objects.get().signing["secrets"][0]["secret"] == SECRET
    assert Source.history.get().history_user == api.user


def test_settings_read_back_as_they_were_sent(api: Api) -> None:
    settings = {
        "name": "Staging", "dev_id": "acme", "active": False, "tolerance_s": 60, "stale_window_s": 0, "strict": True,
        "allowlist": ["18.133.218.210", "10.0.0.0/8"], "allowlist_enforced": True,
    }  # fmt: skip

    api.post("sources", {"slug": "staging", **settings}, 201)
    shown = api.get("sources/staging")

    assert {name: shown[name] for name in settings} == settings
    assert shown["signing_secrets"] == []
    assert shown["last_event_at"] is None


def test_a_short_secret_is_masked_as_a_whole(api: Api) -> None:
    made = api.post("sources", {**BODY, "secret": "abcd-1234"}, 201)

    assert made["signing_secrets"][0]["masked"] == "****"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "No Spaces"}, "slug"),
        ({"slug": ""}, "slug"),
        ({"slug": "x" * 65}, "slug"),
        ({"secret": "short"}, "secret"),
        ({"secret": 7 * [1]}, "secret"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"tolerance_s": -1}, "tolerance_s"),
        ({"stale_window_s": "soon"}, "stale_window_s"),
        ({"strict": "perhaps"}, "strict"),
        ({"allowlist": ["nowhere"]}, "allowlist"),
        ({"allowlist": [["10.0.0.1"]]}, "allowlist.0"),
        ({"allowlist": ["10.0.0.1"] * (MOST_ADDRESSES + 1)}, "allowlist"),
        ({"allowlist_enforced": True}, "allowlist"),
        ({"colour": "red"}, "colour"),
        ({"id": "1"}, "id"),
        ({"signing": {}}, "signing"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    assert field in messages(api.post("sources", {**BODY, **change}, 400))
    assert not Source.objects.exists()


def test_a_slug_that_is_taken_is_refused(api: Api) -> None:
    api.post("sources", BODY, 201)

    assert messages(api.post("sources", BODY, 400)).keys() == {"slug"}


@pytest.mark.django_db(transaction=True)
def test_of_two_who_want_one_slug_at_once_one_is_told_so() -> None:
    api = Api(superuser=True)

    def make() -> int:
        client = Api(client=api.client)
        return client.client.post("/api/v1/sources", json.dumps(BODY), "application/json").status_code

    assert sorted(at_once(4, make)) == [201, 400, 400, 400]


def test_sources_are_found_by_a_part_of_their_name_and_by_their_state(api: Api) -> None:
    for slug, name, active in (("eu", "Europe", True), ("us", "America", True), ("old", "Old Europe", False)):
        api.post("sources", {"slug": slug, "name": name, "active": active}, 201)

    def slugs(**query: str) -> set[str]:
        return {row["slug"] for row in api.get("sources", **query)["data"]}

    assert slugs(name="europe") == {"eu", "old"}
    assert slugs(name="US") == {"us"}
    assert slugs(active="true", name="europe") == {"eu"}
    assert slugs(active="false") == {"old"}


def test_the_last_event_is_told_by_the_minute_and_later_by_the_hour(api: Api) -> None:
    now = datetime(2026, 3, 12, 6, 30, 10, tzinfo=UTC)
    main, quiet, other = make_source(), make_source("quiet"), make_source("other")
    tally_events(main, now - timedelta(minutes=5), 1, writer="w1")
    tally_events(main, now, 1, writer="w2")
    tally_events(other, now + timedelta(hours=1), 1)
    ReceivedTally.objects.create(source=quiet, period_s=HOUR_S, starts_at=now.replace(minute=0, second=0), writer="w")

    shown = {row["slug"]: row["last_event_at"] for row in api.get("sources")["data"]}

    assert shown["main"] == "2026-03-12T06:30:00Z"
    assert shown["quiet"] == "2026-03-12T06:00:00Z"


# --- changing -------------------------------------------------------------------------------------
def test_patch_changes_what_is_named_and_replaces_the_allowlist(api: Api) -> None:
    api.post("sources", {**BODY, "allowlist": ["10.0.0.1"]}, 201)

    changed = api.patch("sources/production", {"allowlist": ["10.0.0.2"], "active": False, "slug": "production"})

    assert (changed["allowlist"], changed["active"], changed["name"]) == (["10.0.0.2"], False, "Production")
    assert changed["signing_secrets"][0]["masked"] == f"****{SECRET[-4:]}"
    assert Source.history.first().history_change_reason == "changed: active, allowlist"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "other"}, "slug"),
        ({"secret": SECRET}, "secret"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "created_at"),
        ({"allowlist": []}, "allowlist"),
        ({"tolerance_s": None}, "tolerance_s"),
    ],
)
def test_what_cannot_be_changed_so_is_refused(api: Api, change: dict[str, Any], field: str) -> None:
    api.post("sources", {**BODY, "allowlist": ["10.0.0.1"], "allowlist_enforced": True}, 201)
    before = api.get("sources/production")

    assert messages(api.patch("sources/production", change, 400)).keys() == {field}
    assert api.get("sources/production") == before


def test_a_change_does_not_undo_one_that_was_made_meanwhile() -> None:
    source = make_source()
    stale = Source.objects.get()
    add_signing_secret(source, SECRET)

    update_source(stale, name="Renamed")
    add_signing_secret(source, "another-secret-of-the-tests")

    row = Source.objects.get()
    assert row.name == "Renamed"
    secrets = [entry["secret"] for entry in row.signing["secrets"]]
    assert secrets == ["another-secret-of-the-tests", SECRET, "source-secret-of-the-tests"]


def test_a_source_is_not_deleted(api: Api) -> None:
    api.post("sources", BODY, 201)

    assert api.delete("sources/production", 405)["code"] == "method_not_allowed"


@pytest.mark.parametrize("slug", ["nobody", "x\x00y", "UPPER", "..", "é"])
def test_a_source_that_is_not_there_is_not_found(api: Api, slug: str) -> None:
    assert api.get(f"sources/{slug}", 404)["code"] == "not_found"
    assert api.post(f"sources/{slug}/send-test", {}, 404)["code"] == "not_found"
    assert api.post(f"sources/{slug}/rotate-secret", {"secret": SECRET}, 404)["code"] == "not_found"


# --- secrets --------------------------------------------------------------------------------------
def test_after_a_rotation_both_secrets_are_good_for_a_while(api: Api) -> None:
    api.post("sources", BODY, 201)

    shown = api.post("sources/production/rotate-secret", {"secret": "the-second-secret-of-terra-7f7f", "grace_s": 60})

    new, old = shown["signing_secrets"]
    assert (new["masked"], new["current"], new["not_after"]) == ("****7f7f", True, None)
    assert (old["masked"], old["current"]) == (f"****{SECRET[-4:]}", False)
    left = datetime.fromisoformat(old["not_after"]) - timezone.now()
    assert timedelta() < left <= timedelta(seconds=60)
    assert api.get("sources/production") == shown


def test_without_grace_the_earlier_secrets_end_at_once(api: Api) -> None:
    api.post("sources", BODY, 201)

    shown = api.post("sources/production/rotate-secret", {"secret": "the-second-secret-of-terra-7f7f", "grace_s": 0})

    assert [one["masked"] for one in shown["signing_secrets"]] == ["****7f7f"]
    assert len(Source.objects.get().signing["secrets"]) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "secret"),
        ({"secret": "short"}, "secret"),
        ({"secret": SECRET, "grace_s": -1}, "grace_s"),
        ({"secret": SECRET, "grace_s": 2592001}, "grace_s"),
        ({"secret": SECRET, "grace": 1}, "grace"),
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(api: Api, body: dict[str, Any], field: str) -> None:
    make_source()

    assert messages(api.post("sources/main/rotate-secret", body, 400)).keys() == {field}


def test_no_more_secrets_are_live_at_once_than_a_request_may_be_tried_with(api: Api) -> None:
    make_source()
    for number in range(1, MOST_SECRETS):  # one is there already
        api.post("sources/main/rotate-secret", {"secret": f"rotated-secret-{number}"})

    problem = api.post("sources/main/rotate-secret", {"secret": "one-too-many-of-them"}, 409)

    assert problem["code"] == "too_many_secrets"
    assert "grace_s 0" in problem["hint"]
    api.post("sources/main/rotate-secret", {"secret": "one-too-many-of-them", "grace_s": 0})


def test_secrets_that_do_not_open_hide_nothing_and_a_new_one_mends_it(api: Api, settings: LazySettings) -> None:
    api.post("sources", BODY, 201)
    settings.CREDENTIAL_KEYS = [generate_key("new")]

    lost = api.get("sources/production")
    renamed = api.patch("sources/production", {"name": "Renamed"})
    mended = api.post("sources/production/rotate-secret", {"secret": "the-second-secret-of-terra-7f7f"})

    assert "CREDENTIAL_KEYS" in lost["signing_secrets_error"]
    assert lost["signing_secrets"] == renamed["signing_secrets"] == []
    assert mended["signing_secrets_error"] == ""
    assert [one["masked"] for one in mended["signing_secrets"]] == ["****7f7f"]


def test_no_secret_of_a_source_comes_back_anywhere(api: Api, caplog: Any, capfd: Any) -> None:
    secret = f"secret-of-terra-{CANARY}-0000"
    said = [
        api.post("sources", {**BODY, "secret": secret}, 201),
        api.post("sources", {**BODY, "secret": secret}, 400),
        api.post("sources", {"slug": "long", "secret": secret * 100}, 400),
        api.post("sources/production/rotate-secret", {"secret": f"again-{secret}"}),
        api.post("sources/production/rotate-secret", {"secret": f"again-{secret}", "grace_s": -1}, 400),
        api.post("sources/production/send-test", {}, 201),
        api.patch("sources/production", {"secret": secret}, 400),
        api.patch("sources/production", {"name": "x"}),
        api.get("sources"),
    ]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            said += cursor.fetchall()

    for text in [*map(str, said), caplog.text, *capfd.readouterr()]:
        assert CANARY not in text


# --- samples --------------------------------------------------------------------------------------
def test_a_sample_of_a_type_becomes_an_event_that_is_delivered(api: Api) -> None:
    make_source()
    makes, others = make_destination("sleep", event_types=["sleep"]), make_destination("body", event_types=["body"])

    sent = api.post("sources/main/send-test", {"type": "sleep"}, 201)

    event = Event.objects.get()
    assert sent == {"event_id": str(event.pk), "type": "sleep"}
    assert (event.type, event.user_id, event.source.slug) == ("sleep", "hub-sample", "main")
    assert [row.destination for row in Delivery.objects.all()] == [makes]
    assert others.deliveries.count() == 0


def test_a_healthcheck_is_sent_unless_a_type_is_named(api: Api) -> None:
    make_source()

    assert api.post("sources/main/send-test", {}, 201)["type"] == "healthcheck"
    assert set(EVENT_TYPES) > {"healthcheck"}
    assert messages(api.post("sources/main/send-test", {"type": "slep"}, 400)).keys() == {"type"}


def test_a_source_that_takes_no_sample_says_why(api: Api) -> None:
    api.post("sources", {"slug": "bare"}, 201)
    api.post("sources", {**BODY, "active": False}, 201)

    assert api.post("sources/bare/send-test", {}, 400)["code"] == "no_signing_secret"
    assert api.post("sources/production/send-test", {}, 409)["code"] == "source_disabled"
    assert not Event.objects.exists()


# --- keys that are limited to sources ---------------------------------------------------------------
def test_a_key_that_is_limited_to_sources_sees_and_makes_no_other(api: Api) -> None:
    make_source("mine")
    make_source("theirs")
    key = key_api("sources:write", sources=("mine",))

    assert [row["slug"] for row in key.get("sources")["data"]] == ["mine"]
    assert key.get("sources/theirs", 404)["code"] == "not_found"
    assert key.patch("sources/theirs", {"name": "x"}, 404)["code"] == "not_found"
    assert key.post("sources/theirs/send-test", {}, 404)["code"] == "not_found"
    assert key.post("sources/theirs/rotate-secret", {"secret": SECRET}, 404)["code"] == "not_found"
    problem = key.post("sources", {"slug": "another"}, 403)
    assert (problem["code"], messages(problem).keys()) == ("beyond_sources", {"slug"})
    assert key.patch("sources/mine", {"name": "Mine"})["name"] == "Mine"
    assert "API key k" in Source.objects.get(slug="mine").history.first().history_change_reason


# --- on trial ---------------------------------------------------------------------------------------
def test_a_trial_makes_changes_rotates_and_sends_nothing(api: Api) -> None:
    made = api.post("sources?dry_run=true", BODY, 201)
    assert made["slug"] == "production"
    assert not Source.objects.exists()

    api.post("sources", BODY, 201)
    before = api.get("sources/production")
    trial = api.patch("sources/production?dry_run=true", {"name": "Other"})
    rotated = api.post("sources/production/rotate-secret?dry_run=true", {"secret": "another-secret-of-terra-2222"})
    sent = api.post("sources/production/send-test?dry_run=true", {"type": "sleep"}, 201)

    assert trial["name"] == "Other"
    assert rotated["signing_secrets"][0]["masked"] == "****2222"
    assert sent["type"] == "sleep"
    assert api.get("sources/production") == before
    assert not Event.objects.exists()
