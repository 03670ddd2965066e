"""The use cases of the control plane: what is saved, what is refused, and what is never kept."""

import base64
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from destinations import checking, rules, services
from destinations.adapters.base import Step, StepStatus
from destinations.adapters.webhook import WebhookAdapter
from destinations.adapters.webhook_config import WebhookConfig, WebhookCredentials
from destinations.adapters_of import AdapterCache, Unusable, build_adapter
from destinations.crypto import generate_key
from destinations.models import Destination, RoutingVersion
from destinations.rules import Refused
from tests.api_support import at_once, make_delivery, make_destination, make_event, make_source, make_user
from tests.services import free_port
from tests.services.postgres import Login, PostgresServer
from webhooks.models import Delivery
from webhooks.receivers import cancel_of_deleted

pytestmark = pytest.mark.django_db

CANARY = "CANARY-4f2a-9d1c"
DATABASE = {"host": "127.0.0.1", "database": "health", "username": "hub"}


def make_database(name: str = "db", password: str = CANARY, **config: Any) -> Destination:
    created = services.create_destination(
        type="postgres", name=name, config={**DATABASE, **config}, credentials={"password": password}
    )
    return created.destination


def refused(call: Any, *args: Any, **changes: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        call(*args, **changes)
    return caught.value


def stored(destination: Destination) -> Destination:
    return Destination.objects.get(pk=destination.pk)


def history(destination: Destination) -> list[str]:
    return list(
        Destination.history.filter(id=destination.pk)
        .order_by("history_id")
        .values_list("history_change_reason", flat=True)
    )


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
    assert "EGRESS_ALLOW" in error.hint
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

    services.update_destination(destination, config={"ssl_mode": "require"}, event_types=["sleep"])
    services.update_destination(destination, event_types=["daily"])

    row = stored(destination)
    assert row.config == {**DATABASE, "schema": "terra", "ssl_mode": "require"}
    assert row.event_types == ["daily"]


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


# --- states ---------------------------------------------------------------------------------------
def test_pausing_and_disabling_are_two_things() -> None:
    destination = make_destination()

    services.pause(destination)
    assert (stored(destination).active, stored(destination).paused) == (True, True)
    services.resume(destination)
    services.disable(destination, reason="It answered 410 Gone.")
    row = stored(destination)
    assert (row.active, row.paused, row.disabled_reason) == (False, False, "It answered 410 Gone.")
    services.enable(destination)
    row = stored(destination)
    assert (row.active, row.disabled_reason) == (True, "")


def test_who_disabled_it_is_said() -> None:
    user = make_user()
    destination = make_destination()

    services.update_destination(destination, by=user, active=False)

    assert user.username in stored(destination).disabled_reason


def test_resuming_ends_a_pause_of_the_breaker_too() -> None:
    destination = make_destination()
    Destination.objects.update(paused_until=datetime.now(UTC) + timedelta(hours=1), consecutive_failures=10)

    assert services.resume(destination).paused_until is None
    assert stored(destination).consecutive_failures == 0


def test_deliveries_of_a_disabled_destination_are_kept() -> None:
    destination = make_destination()
    make_delivery(make_event(), destination)

    services.disable(destination)

    assert Delivery.objects.get().status == "pending"


def test_a_deleted_destination_keeps_no_secret_and_frees_its_name() -> None:
    destination = make_database("reports")

    services.delete_destination(destination)

    row = stored(destination)
    assert (row.credentials, row.link_secret, row.active) == ({}, {}, False)
    assert row.deleted_at
    make_database("reports")
    services.delete_destination(make_database("n" * 100))


def test_deleting_cancels_what_is_pending_and_nothing_else(django_capture_on_commit_callbacks: Any) -> None:
    destination, other = make_destination("one"), make_destination("two")
    pending = [make_delivery(make_event(), destination, claimed_by=worker) for worker in ("", "w1")]
    done = make_delivery(make_event(), destination, "delivered")
    elsewhere = make_delivery(make_event(), other)

    with django_capture_on_commit_callbacks(execute=True):
        services.delete_destination(destination)

    for delivery in [*pending, done, elsewhere]:
        delivery.refresh_from_db()
    assert {(row.status, row.last_error_code, row.claimed_by) for row in pending} == {
        ("cancelled", "destination_deleted", "")
    }
    assert (done.status, elsewhere.status) == ("delivered", "pending")


def test_what_a_crash_after_a_deletion_left_pending_is_cancelled_later() -> None:
    destination = make_destination()
    left = make_delivery(make_event(), destination)
    services.delete_destination(destination)  # the transaction of the test is never committed: nothing is cancelled

    assert cancel_of_deleted() == 1

    left.refresh_from_db()
    assert (left.status, left.last_error_code) == ("cancelled", "destination_deleted")
    assert cancel_of_deleted() == 0


@pytest.mark.parametrize(
    "use_case",
    [services.update_destination, services.delete_destination, services.pause, services.resume, services.enable,
     services.rotate_signing_secret, services.revoke_payload_links, services.check_destination],
)  # fmt: skip
def test_nothing_can_be_done_with_a_deleted_destination(use_case: Any) -> None:
    destination = make_destination()
    services.delete_destination(destination)

    assert refused(use_case, destination).code == "destination_deleted"


def test_disabling_a_destination_that_was_deleted_meanwhile_does_nothing() -> None:
    destination = make_destination()
    services.delete_destination(destination)
    version = stored(destination).version

    services.disable(destination, reason="Too many failures.")

    assert (stored(destination).version, stored(destination).disabled_reason) == (version, "Deleted.")


# --- secrets --------------------------------------------------------------------------------------
def test_a_rotated_secret_signs_beside_the_one_before() -> None:
    destination = make_destination()
    first = destination.credentials["signing_secret"]

    second = services.rotate_signing_secret(destination, grace_s=3600)

    held = stored(destination).credentials
    assert (held["signing_secret"], held["previous_signing_secret"]) == (second, first)
    ends = datetime.fromisoformat(held["previous_valid_until"])
    assert abs(ends - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=5)
    assert history(destination)[-1] == "credentials changed: signing_secret"


def test_without_grace_the_old_secret_is_forgotten() -> None:
    destination = make_destination()
    services.rotate_signing_secret(destination)

    last = services.rotate_signing_secret(destination, grace_s=0)

    assert stored(destination).credentials == {"signing_secret": last}


@pytest.mark.parametrize("grace_s", [-1, 31 * 24 * 3600])
def test_a_grace_out_of_range_is_refused(grace_s: int) -> None:
    assert "grace_s" in refused(services.rotate_signing_secret, make_destination(), grace_s=grace_s).errors


def test_a_type_that_signs_nothing_has_no_secret_to_rotate() -> None:
    assert refused(services.rotate_signing_secret, make_database()).code == "no_signing_secret"


def test_revoking_payload_links_makes_a_new_key() -> None:
    destination = make_destination()

    services.revoke_payload_links(destination)

    assert stored(destination).link_secret["key"] != destination.link_secret["key"]


def test_masks_show_four_characters_of_long_secrets_and_none_of_short_ones() -> None:
    assert services.masked_credentials(make_database("long")) == {"password_masked": "****9d1c"}
    assert services.masked_credentials(make_database("short", password="hunter2")) == {"password_masked": "****"}
    assert services.masked_credentials(make_destination())["signing_secret_masked"].startswith("****")


def test_the_setup_text_names_this_destinations_values() -> None:
    text = services.setup_text(make_database(database="health_data"))

    assert "health_data" in text
    assert "GRANT" in text
    assert CANARY not in text


def test_credentials_that_do_not_open_stop_their_destination_and_no_other(settings: LazySettings) -> None:
    destination, hook = make_database(), make_destination()
    old_keys = settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = [generate_key("new")]

    with pytest.raises(Unusable, match="CREDENTIAL_KEYS has no key"):
        build_adapter(stored(destination))
    assert refused(services.check_destination, destination).code == "unusable"
    assert refused(services.rotate_signing_secret, hook).code == "unusable"
    assert services.target_of(stored(destination)) == ""
    assert services.update_destination(destination, name="renamed").name == "renamed"
    assert services.masked_credentials(make_database("other"))

    settings.CREDENTIAL_KEYS = old_keys
    assert stored(destination).credentials == {"password": CANARY}, "the key came back, and nothing was lost"


def test_sending_all_credentials_again_mends_what_does_not_open(settings: LazySettings) -> None:
    destination = make_database()
    settings.CREDENTIAL_KEYS = [generate_key("new")]

    assert "credentials.password" in refused(services.update_destination, destination, config={"schema": "x"}).errors
    services.update_destination(destination, credentials={"password": "sent-again"})

    assert stored(destination).credentials == {"password": "sent-again"}


# --- checks ---------------------------------------------------------------------------------------
@pytest.fixture
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word; gives its port."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept_all, args=(listener, held), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connected in held:
        connected.close()


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens on."""
    return free_port()


def _accept_all(listener: socket.socket, held: list[socket.socket]) -> None:
    try:
        while True:
            held.append(listener.accept()[0])
    except OSError:
        return


def database_of(server: PostgresServer, login: Login, **config: Any) -> dict[str, Any]:
    return {
        "host": server.host, "port": server.port, "database": login.database, "username": login.user,
        "ssl_mode": "disable", **config,
    }  # fmt: skip


def test_a_check_keeps_its_steps_on_the_row(postgres_server: PostgresServer, postgres_login: Login) -> None:
    destination = make_database(password=postgres_login.password, **database_of(postgres_server, postgres_login))

    steps = services.check_destination(destination)

    row = stored(destination)
    assert row.check_passed is destination.check_passed is True, steps
    assert [step["name"] for step in row.check_steps] == [step.name for step in steps]
    assert row.checked_at
    assert row.version == 1


def test_a_check_with_a_wrong_password_says_so_and_not_the_password(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    destination = make_database(**database_of(postgres_server, postgres_login))

    steps = services.check_destination(destination)

    row = stored(destination)
    assert (row.check_passed, steps[-1].status) == (False, StepStatus.FAILED)
    assert CANARY not in str(row.check_steps) + str(steps)


def test_a_draft_is_checked_without_being_saved(postgres_server: PostgresServer, postgres_login: Login) -> None:
    config = database_of(postgres_server, postgres_login)

    steps = services.check_draft("postgres", config, {"password": postgres_login.password})

    assert checking.passed(steps), steps
    assert not Destination.objects.exists()
    assert (
        "config.host"
        in refused(services.check_draft, "postgres", {**config, "host": "10.0.0.1"}, {"password": "x"}).errors
    )


def test_a_result_about_an_older_version_is_not_kept(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    destination = make_database(port=closed_port)
    run_check = checking.run_check

    def changed_meanwhile(*args: Any) -> Any:
        services.update_destination(destination, name="renamed meanwhile")
        return run_check(*args)

    monkeypatch.setattr(checking, "run_check", changed_meanwhile)

    assert services.check_destination(destination)[-1].status is StepStatus.FAILED
    assert (stored(destination).checked_at, stored(destination).check_passed) == (None, None)


def test_a_check_that_hangs_is_given_up_within_its_budget(silent_server: int) -> None:
    adapter = build_adapter(make_database(port=silent_server, ssl_mode="disable"), timeout_s=2)

    steps = checking.run_check(adapter, {}, budget_s=0.3)

    assert (steps[-1].name, steps[-1].status) == ("time limit", StepStatus.FAILED)
    assert [step.name for step in steps[:-1]] == ["resolve"] or steps[0].status is StepStatus.PASSED


class Talkative(WebhookAdapter):
    """A destination type whose check says too much, and then breaks."""

    def check(self) -> Iterator[Step]:
        yield Step("connect", StepStatus.PASSED, f"with {self.credentials.token}", f"keep {self.credentials.token}")
        raise RuntimeError(f"could not send {self.credentials.token}")


@pytest.mark.databaseless
def test_a_check_that_says_too_much_or_breaks_gives_no_secret_away(caplog: Any, capfd: Any) -> None:
    adapter = Talkative(WebhookConfig(url="http://127.0.0.1:18999/"), WebhookCredentials(token=CANARY))

    steps = checking.run_check(adapter, {"token": CANARY})

    assert [step.status for step in steps] == [StepStatus.PASSED, StepStatus.FAILED]
    assert (steps[0].detail, steps[0].hint) == ("with ****", "keep ****")
    assert "RuntimeError" in steps[1].detail
    assert CANARY not in str(steps) + caplog.text + "".join(capfd.readouterr())


@pytest.mark.databaseless
def test_secrets_are_taken_out_of_what_a_check_says() -> None:
    secrets = {"token": "abcd-1234", "longer": "abcd-1234-5678", "short": "ab", "number": 7}

    said = checking.without_secrets("GET /?token=abcd-1234-5678 failed: abcd-1234, ab", secrets)

    assert said == "GET /?token=**** failed: ****, ab"


# --- the cache of adapters ------------------------------------------------------------------------
def connections_of(server: PostgresServer, login: Login) -> int:
    with server.connect() as link:
        row = link.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s", [login.database, login.user]
        ).fetchone()
        assert row
        return int(row[0])


def test_an_adapter_is_kept_until_its_destination_changes(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    destination = make_database(password=postgres_login.password, **database_of(postgres_server, postgres_login))
    cache = AdapterCache()
    first = cache.get(stored(destination))
    old_row = stored(destination)

    assert cache.get(stored(destination)) is first
    services.update_destination(destination, timeout_s=7)
    second = cache.get(stored(destination))

    assert second is not first
    assert second.limits.timeout_s == 7
    assert cache.get(old_row) is second, "a row that was read before the change gets the newer set-up"
    cache.close()


def test_connections_are_closed_when_an_adapter_is_replaced_or_dropped(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    destination = make_database(password=postgres_login.password, **database_of(postgres_server, postgres_login))
    cache = AdapterCache()

    held = []  # so that no adapter is closed merely because nobody refers to it

    def connect() -> None:
        adapter = cache.get(stored(destination))
        held.append(adapter)
        adapter._link.start(10)  # type: ignore[attr-defined]
        adapter._link.open()  # type: ignore[attr-defined]
        assert connections_of(postgres_server, postgres_login) == 1

    connect()
    services.update_destination(destination, timeout_s=7)
    connect()
    cache.drop(destination.pk)
    _wait_until_none(postgres_server, postgres_login)
    connect()
    cache.close()
    _wait_until_none(postgres_server, postgres_login)


def _wait_until_none(server: PostgresServer, login: Login) -> None:
    done = threading.Event()
    for _ in range(200):
        if not connections_of(server, login):
            return
        done.wait(0.02)
    pytest.fail("the connection stayed open")


def test_limits_of_the_row_reach_the_adapter_and_a_check_caps_them() -> None:
    destination = make_destination(timeout_s=120, concurrency=3)

    assert (build_adapter(destination).limits.timeout_s, build_adapter(destination).limits.concurrency) == (120, 3)
    assert build_adapter(destination, timeout_s=15).limits.timeout_s == 15
