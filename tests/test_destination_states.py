"""Pausing, disabling, deleting; secrets that rotate, are masked, or do not open."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings

from destinations import services
from destinations.adapters.base import Outcome, Result
from destinations.adapters_of import Unusable, build_adapter
from destinations.crypto import generate_key
from destinations.models import Destination
from destinations.shown import Tone
from destinations.states import state_of
from tests.api_support import (
    CANARY,
    history,
    make_database,
    make_delivery,
    make_destination,
    make_event,
    make_user,
    refused,
    stored,
)
from webhooks.delivering.breaker import record, tally
from webhooks.models import Delivery
from webhooks.receivers import cancel_of_deleted

pytestmark = pytest.mark.django_db


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


def test_failures_are_counted_in_its_sentence_where_there_are_some() -> None:
    refusing = make_destination("refusing")
    for failures, said in ((0, "(now)."), (3, "(now); failures in a row: 3.")):
        refusing.failing_since, refusing.consecutive_failures = datetime.now(UTC), failures
        assert state_of(refusing).sentence.endswith(said)


def test_it_is_untested_until_a_check_or_a_delivery_has_succeeded() -> None:
    row = make_destination()
    assert state_of(row).chip.label == "Untested"
    assert state_of(row).chip.tone is not Tone.GOOD

    row.proven_at = datetime.now(UTC)
    assert (state_of(row).chip.label, "Deliveries arrive since" in state_of(row).sentence) == ("Healthy", True)

    row.proven_at, row.check_passed, row.checked_at = None, False, datetime.now(UTC)
    assert state_of(row).chip.tone is Tone.BAD


def test_a_delivery_proves_the_set_up_that_it_was_made_under_and_no_later_one() -> None:
    row = make_destination()
    older = tally([Result(Outcome.DELIVERED)])
    older.proven_version = row.version
    services.update_destination(row, config={"url": "http://127.0.0.1:18999/elsewhere"})

    record(row.pk, replace(older, proven_version=0))
    assert stored(row).proven_at is None, "nothing says which set-up that was"
    record(row.pk, replace(older, proven_version=stored(row).version - 1))
    assert stored(row).proven_at is None
    record(row.pk, replace(older, proven_version=stored(row).version))
    proven = stored(row).proven_at
    assert proven
    record(row.pk, replace(older, proven_version=stored(row).version))
    assert stored(row).proven_at == proven
    services.update_destination(row, config={"url": "http://127.0.0.1:18999/hook"})
    assert stored(row).proven_at is None


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


def test_masks_show_nothing_of_a_password() -> None:
    assert services.masked_credentials(make_database("long")) == {"password_masked": "****"}
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
