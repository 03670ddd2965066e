"""Making and changing destinations: what is saved, what is refused, and what history keeps."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction

from destinations import rules, services
from destinations.models import Destination, RoutingVersion
from destinations.rules import Refused
from destinations.writing import changing, save, unique_name
from tests.api_support import (
    CANARY,
    DATABASE,
    at_once,
    history,
    in_a_thread,
    make_database,
    make_destination,
    make_event,
    make_source,
    make_user,
    refused,
    stored,
)

pytestmark = pytest.mark.django_db


# --- making ---------------------------------------------------------------------------------------
def test_a_new_destination_is_stored_with_its_credentials_sealed() -> None:
    destination = make_database(schema="terra")

    row = stored(destination)
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials, link_secret FROM destinations_destination")
        sealed = cursor.fetchone()

    assert row.credentials == {"password": CANARY}
    assert row.config == {**DATABASE, "schema": "terra"}
    assert all(value.startswith("sealed:1:") and CANARY not in value for value in sealed)


def test_a_signing_secret_is_made_and_handed_out_once() -> None:
    created = services.create_destination(
        type="webhook", name="hook", config={"url": "http://127.0.0.1:18999/"}, credentials={}
    )

    secret = created.secrets["signing_secret"]
    assert stored(created.destination).credentials["signing_secret"] == secret
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32


def test_a_signing_secret_of_ones_own_is_kept_and_not_handed_out() -> None:
    created = services.create_destination(
        type="webhook", name="hook", config={"url": "http://127.0.0.1:18999/"}, credentials={"signing_secret": CANARY}
    )

    assert created.secrets == {}
    assert stored(created.destination).credentials["signing_secret"] == CANARY


def test_a_payload_link_key_is_made_for_each_destination() -> None:
    one, two = make_destination("one"), make_destination("two")

    assert len(base64.b64decode(one.link_secret["key"])) == 32
    assert one.link_secret != two.link_secret


def test_all_that_is_wrong_is_said_at_once() -> None:
    make_destination("taken")

    error = refused(
        services.create_destination, type="postgres", name="taken", config={"host": "127.0.0.1", "port": 0, "hots": 1},
        credentials={}, event_types=["slep"], schedule=[0], timeout_s=float("nan"), concurrency=0, colour="red",
    )  # fmt: skip

    assert error.errors.keys() == {
        "name", "config.port", "config.hots", "config.database", "config.username", "credentials.password",
        "event_types", "schedule", "timeout_s", "concurrency", "colour",
    }  # fmt: skip
    assert "Did you mean 'sleep'?" in error.errors["event_types"][0]
    assert not Destination.objects.filter(type="postgres").exists()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": None}, "name"),
        ({"event_types": "sleep"}, "event_types"),
        ({"event_types": [1]}, "event_types"),
        ({"event_types": ["a\x00"]}, "event_types"),
        ({"sources": ["nowhere"]}, "sources"),
        ({"schedule": [float("inf")]}, "schedule"),
        ({"schedule": [True]}, "schedule"),
        ({"schedule": [1] * 51}, "schedule"),
        ({"schedule": {}}, "schedule"),
        ({"timeout_s": 0.5}, "timeout_s"),
        ({"timeout_s": 301}, "timeout_s"),
        ({"concurrency": 257}, "concurrency"),
        ({"disable_after_hours": -1}, "disable_after_hours"),
        ({"disable_after_hours": 10**9}, "disable_after_hours"),
        ({"active": None}, "active"),
        ({"paused": "maybe"}, "paused"),
        ({"config": []}, "config"),
        ({"config": {"url": "http://127.0.0.1:18999/", "x\ud800": "y"}}, "config.x\ud800"),
        ({"config": {"url": "http://127.0.0.1:18999/\udc00"}}, "config.url"),
        ({"credentials": "secret"}, "credentials"),
        ({"credentials": {"signing_secret": "a\x00b"}}, "credentials.signing_secret"),
    ],
)
def test_bad_input_is_refused_by_its_field(settings: dict[str, Any], field: str) -> None:
    values = {"name": "hook", "config": {"url": "http://127.0.0.1:18999/"}, "credentials": {}, **settings}

    assert field in refused(services.create_destination, type="webhook", **values).errors
    assert not Destination.objects.exists()


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    error = refused(services.create_destination, type="fax", name="fax", config={}, credentials={})

    assert error.code == "unknown_type"
    assert "webhook" in error.errors["type"][0]


def test_an_event_type_that_was_received_before_can_be_chosen() -> None:
    make_event(type="brand_new_type")

    assert make_destination(event_types=["brand_new_type", "sleep"]).event_types == ["brand_new_type", "sleep"]


def test_a_source_can_be_chosen_by_its_slug() -> None:
    make_source("clinic")

    assert make_destination(sources=["clinic"]).sources == ["clinic"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://10.1.2.3:8080/hook", "10.1.2.3"),
        ("http://169.254.169.254/latest", "169.254.169.254"),
        ("http://[fd00:ec2::254]/", "fd00:ec2::254"),
        ("http://127.0.0.1:22/", "22"),
        ("http://2130706433/", "2130706433"),
        ("http://user:pw@127.0.0.1:18999/", "user name or a password"),
    ],
)
def test_an_address_that_may_not_be_dialled_is_refused_when_it_is_saved(url: str, said: str) -> None:
    error = refused(make_destination, config={"url": url})

    assert said in error.errors["config.url"][0]


def test_a_private_address_is_refused_with_the_setting_that_would_allow_it(settings: LazySettings) -> None:
    error = refused(make_database, host="10.1.2.3")

    assert error.code == "address_not_allowed"
    assert "EGRESS_ALLOW" in error.errors["config.host"][0]
    settings.EGRESS_ALLOW = ["10.1.0.0/16"]
    assert make_database(host="10.1.2.3").pk


def test_a_host_that_has_no_address_yet_can_be_saved() -> None:
    assert make_database(host="not-there-yet.invalid").pk


def test_blank_optional_fields_take_their_defaults() -> None:
    destination = make_database(schema="", ca_certificate=None)

    assert stored(destination).config == DATABASE


@pytest.mark.django_db(transaction=True)
def test_of_many_who_take_one_name_at_once_one_gets_it_and_the_others_are_told() -> None:
    outcomes = at_once(8, lambda: make_destination("wanted"))

    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refusals) == 7, outcomes
    assert all(refusal.errors == {"name": ["Another destination has this name."]} for refusal in refusals)
    assert Destination.objects.get().name == "wanted"


def test_a_name_that_is_taken_between_the_look_and_the_write_is_refused_all_the_same() -> None:
    make_destination("hook")
    late = Destination(type="webhook", name="hook")

    with pytest.raises(Refused, match="Another destination has this name"), unique_name(late), transaction.atomic():
        save(late, None, "created")


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_the_same_moment_are_both_kept() -> None:
    destination = make_destination()

    with changing(destination, None, "first") as row:
        row.timeout_s = 7
        pausing = in_a_thread(lambda: services.pause(destination))
        pausing.join(0.5)  # it has to wait for us; if it did not, it would be done by now
    pausing.join()

    row = stored(destination)
    assert (row.timeout_s, row.paused, row.version) == (7, True, 3)


@pytest.mark.django_db(transaction=True)
def test_changes_at_once_are_each_kept_or_each_refused() -> None:
    destination = make_destination()

    at_once(4, lambda: services.pause(destination))
    outcomes = at_once(8, lambda: services.update_destination(destination, timeout_s=7))

    kept = [outcome for outcome in outcomes if isinstance(outcome, Destination)]
    assert all(isinstance(outcome, Destination) or outcome.code == "conflict" for outcome in outcomes), outcomes
    assert kept
    row = stored(destination)
    assert (row.version, row.paused, row.timeout_s) == (3, True, 7), "a change that changes nothing makes no version"


# --- changing -------------------------------------------------------------------------------------
def test_config_is_merged_and_lists_are_replaced() -> None:
    destination = make_database(schema="terra")

    sent_again = {"password": "sent-again"}
    services.update_destination(
        destination, config={"ssl_mode": "require"}, credentials=sent_again, event_types=["sleep"]
    )
    services.update_destination(destination, event_types=["daily"])

    row = stored(destination)
    assert row.config == {**DATABASE, "schema": "terra", "ssl_mode": "require"}
    assert row.event_types == ["daily"]


def test_weaker_tls_asks_for_the_password_again() -> None:
    destination = make_database()

    with pytest.raises(services.Refused) as refused:
        services.update_destination(destination, config={"ssl_mode": "require"})

    assert list(refused.value.errors) == ["credentials.password"]
    assert stored(destination).config == DATABASE


def test_an_empty_field_of_config_goes_back_to_its_default() -> None:
    destination = make_database(schema="terra")

    services.update_destination(destination, config={"schema": ""})

    assert stored(destination).config == DATABASE


def test_a_blank_credential_stays_and_none_takes_it_away() -> None:
    destination = make_database()

    services.update_destination(destination, credentials={"password": ""})
    assert stored(destination).credentials == {"password": CANARY}

    assert refused(services.update_destination, destination, credentials={"password": None}).errors == {
        "credentials.password": ["This field is required."]
    }


def test_the_type_is_fixed() -> None:
    destination = make_destination()

    assert refused(services.update_destination, destination, type="postgres").code == "type_is_fixed"
    services.update_destination(destination, type="webhook")


@pytest.mark.parametrize("change", [{"host": "127.0.0.2"}, {"port": 5433}, {"host": "127.0.0.2", "schema": "x"}])
def test_a_stored_password_is_not_sent_to_another_host(change: dict[str, Any]) -> None:
    destination = make_database()

    error = refused(services.update_destination, destination, config=change)
    blank = refused(services.update_destination, destination, config=change, credentials={"password": ""})

    assert error.code == blank.code == "credentials_needed"
    assert error.errors.keys() == {"credentials.password"}
    assert stored(destination).config == DATABASE
    moved = services.update_destination(destination, config=change, credentials={"password": "another-password"})
    assert stored(moved).credentials == {"password": "another-password"}


def test_naming_the_default_port_is_no_change_of_host() -> None:
    destination = make_database()

    services.update_destination(destination, config={"port": 5432})

    assert stored(destination).config["port"] == 5432


def test_a_secret_that_the_hub_made_may_stay_when_the_url_changes() -> None:
    destination = make_destination()
    secret = destination.credentials["signing_secret"]

    services.update_destination(destination, config={"url": "http://127.0.0.1:18998/"})

    assert stored(destination).credentials["signing_secret"] == secret


def test_a_change_makes_a_new_version_and_forgets_failures() -> None:
    destination = make_destination()
    Destination.objects.update(
        consecutive_failures=12, failing_since=datetime.now(UTC), paused_until=datetime.now(UTC) + timedelta(hours=1),
        pause_reason="breaker", check_passed=True, checked_at=datetime.now(UTC),
    )  # fmt: skip

    services.update_destination(destination, config={"url": "http://127.0.0.1:18998/"})

    row = stored(destination)
    assert row.version == destination.version + 1
    assert (row.consecutive_failures, row.failing_since, row.paused_until, row.pause_reason) == (0, None, None, "")
    assert (row.check_passed, row.checked_at) == (None, None), "nothing is known of the new set-up"


def test_a_change_that_changes_nothing_makes_no_version() -> None:
    destination = make_destination()

    services.update_destination(destination, name="hook", paused=False)
    services.disable(services.disable(destination))

    assert stored(destination).version == 2
    assert history(destination) == ["created", "disabled"]


def test_a_change_on_top_of_somebody_elses_is_refused() -> None:
    destination = make_destination()

    def meanwhile(slugs: Any) -> set[str]:
        services.pause(destination)
        return set(slugs)

    lookup = rules._lookups["sources"]
    rules.register_lookup("sources", meanwhile)
    try:
        error = refused(services.update_destination, destination, sources=["clinic"], name="mine")
    finally:
        rules.register_lookup("sources", lookup)

    assert error.code == "conflict"
    row = stored(destination)
    assert (row.name, row.paused) == ("hook", True)


def test_every_write_raises_the_routing_version() -> None:
    def version() -> int:
        row = RoutingVersion.objects.first()
        return row.version if row else 0

    seen = [version()]
    destination = make_destination()
    for write in (services.pause, services.resume, services.disable, services.enable, services.rotate_signing_secret,
                  services.revoke_payload_links, services.delete_destination):  # fmt: skip
        seen.append(version())
        write(destination)
    seen.append(version())

    assert seen == sorted(set(seen))


def test_a_refused_write_leaves_no_trace() -> None:
    destination = make_destination()
    before = RoutingVersion.objects.get().version, Destination.history.count()

    refused(services.update_destination, destination, name="new", schedule=[0])

    assert (RoutingVersion.objects.get().version, Destination.history.count()) == before
    assert stored(destination).name == "hook"


# --- history --------------------------------------------------------------------------------------
def test_history_says_who_changed_which_credential_and_never_its_value() -> None:
    user = make_user()
    destination = make_database(password="first-" + CANARY)

    services.update_destination(destination, by=user, credentials={"password": "second-" + CANARY}, name="renamed")
    services.delete_destination(destination, by=user)

    assert history(destination) == ["created", "credentials changed: password; changed: name", "deleted"]
    assert Destination.history.earliest("history_id").history_user is None
    assert Destination.history.latest("history_id").history_user == user
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM destinations_historicaldestination")
        assert CANARY not in str(cursor.fetchall())
        assert not {"credentials", "link_secret"} & {column[0] for column in cursor.description}
