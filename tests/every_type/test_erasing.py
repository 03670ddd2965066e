"""A person is erased from a destination of every type that can, by a running worker; the other person stays."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest
from django.conf import settings

from destinations import services
from destinations.models import Destination
from tests.adapters.s3_support import credentials_of
from tests.delivering.log import statuses
from tests.erasures.stage import carried_on
from tests.every_type.expected import ANA, ANA_AGAIN, BEN
from tests.every_type.leaks import secrets_of, shown_in
from tests.every_type.receivers import RECEIVERS, Fixtures, Receiver, SqlReceiver, SupabaseReceiver, environment_of
from tests.hub import SAMPLES, Hub, until
from tests.services import free_port
from tests.services.iam import allow
from webhooks.keeping.erasures import elsewhere, jobs
from webhooks.models import Erasure, Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databaseless]

HERS = ("activity", "sleep", "auth", "user_reauth", "auth_cancelled")  # the last one names no user
HIS = ("activity-full", "auth-2", "rate_limit_hit")
OF_EVENTS = ("terra_data_payloads", "terra_other_payloads")
CANNOT = ("sqs", "webhook")
OBJECTS, ROWS = len(HERS), len(HERS) + 2  # two rows of users
FAST = {"RETRY_TIME_SCALE": "0.001", "COMMIT_TIMEOUT_SECONDS": "1"}


def erasing(kind: str, fixture: Fixtures) -> Receiver:
    """Return a receiver whose credentials may erase, where that takes more than to deliver."""
    receiver: Any = RECEIVERS[kind](fixture)
    if kind == "s3":
        receiver.credentials = key_that_erases(receiver)
    if kind == "azureblob":
        receiver.credentials = receiver.place.token("rcwdl")
    return receiver  # type: ignore[no-any-return]


def key_that_erases(receiver: Any) -> Mapping[str, Any]:
    bucket = f"arn:aws:s3:::{receiver.folder.bucket}"
    policies = (
        allow("s3:PutObject", "s3:GetObject", "s3:DeleteObject", resource=f"{bucket}/*"),
        allow("s3:ListBucket", resource=bucket),
    )
    rights = [statement for policy in policies for statement in policy["Statement"]]
    return asdict(credentials_of(receiver.folder.user_with(rights)))


def delivered(hub: Hub, *receivers: Receiver) -> set[str]:
    """Have a worker deliver the events of both; return the ids of his. The worker goes on."""
    hub.worker(**environment_of(hub, *receivers), **FAST)
    events = {name: hub.post(SAMPLES[name]).json["event_id"] for name in (*HERS, *HIS)}
    until(lambda: statuses() == {"delivered": len(events) * len(receivers)}, 60, "all is delivered")
    for receiver in receivers:
        assert receiver.event_ids() == set(events.values()), receiver.type
    return {events[name] for name in HIS}


def erased_here(erasure: Erasure, monkeypatch: pytest.MonkeyPatch) -> Erasure:
    """Carry an erasure on in this process, without its waits."""
    monkeypatch.setattr(elsewhere, "WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(settings, "COMMIT_TIMEOUT_SECONDS", 0)
    return carried_on(erasure)


def told(erasure: Erasure) -> Mapping[str, Any]:
    """Return (status, erased) by type."""
    return {one["type"]: (one["status"], one["erased"]) for one in erasure.receipt["destinations"]}


def test_her_rows_and_objects_are_gone_everywhere_and_his_stay(hub: Hub, request: pytest.FixtureRequest) -> None:
    receivers = {kind: erasing(kind, request.getfixturevalue) for kind in RECEIVERS}
    for receiver in receivers.values():
        receiver.set_up(hub)
    his = delivered(hub, *receivers.values())
    services.pause(Destination.objects.get(type="mysql"))  # which keeps nobody from erasing there
    services.disable(Destination.objects.get(type="gcs"))

    erasure = jobs.start(reference_ids=["your-user-123"], destinations="all")
    until(lambda: Erasure.objects.get().status != "running", what="the worker has ended it")
    erasure.refresh_from_db()

    assert (erasure.status, erasure.problem) == ("done", ""), erasure.destination_results
    for kind, receiver in receivers.items():
        if kind not in CANNOT:
            assert receiver.event_ids() == his, kind
        if isinstance(receiver, SqlReceiver):
            assert receiver.place.rows("terra_users", "user_id") == [(BEN,)]
        if isinstance(receiver, SupabaseReceiver):
            assert {row[0] for table in OF_EVENTS for row in receiver.rows(table)} == his
            assert [row[0] for row in receiver.rows("terra_users")] == [BEN]
    assert told(erasure) == {
        kind: ("cannot", 0) if kind in CANNOT else ("erased", ROWS if kind in ("postgres", "mysql") else OBJECTS)
        for kind in receivers
    }
    details = {one["type"]: one["detail"] for one in erasure.receipt["destinations"]}
    assert details["webhook"] == "webhook: cannot be erased from here; its owner has to."
    assert set(Event.objects.values_list("user_id", flat=True)) == {BEN}
    secrets = [*secrets_of(*receivers.values()), ANA, ANA_AGAIN]
    assert shown_in(hub.workers[0], secrets) == []


def test_one_that_is_down_is_erased_once_it_is_back(
    hub: Hub, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver: Any = erasing("postgres", request.getfixturevalue)
    with receiver.place.proxy() as proxy:
        receiver.config = {**receiver.config, "host": "127.0.0.1", "port": proxy.port}
        receiver.set_up(hub)
        his = delivered(hub, receiver)
        hub.stop_workers()
        server, proxy.upstream = proxy.upstream, ("127.0.0.1", free_port())

        erasure = erased_here(jobs.start(user_ids=[ANA], destinations="all"), monkeypatch)
        assert erasure.status == "stopped"
        assert Event.objects.filter(user_id=ANA).exists()  # kept until it is gone there
        proxy.upstream = server
        erasure = erased_here(jobs.resume(erasure), monkeypatch)

    # auth_cancelled names her reference id only: by a user id it stays.
    assert told(erasure) == {"postgres": ("erased", ROWS - 1)}
    assert len(receiver.event_ids()) == len(his) + 1


def test_rights_that_are_missing_stop_it_by_name_and_it_ends_once_they_are_there_or_without(
    hub: Hub, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    receivers = {kind: RECEIVERS[kind](request.getfixturevalue) for kind in ("s3", "azureblob")}
    places = {kind: receiver.set_up(hub) for kind, receiver in receivers.items()}
    his = delivered(hub, *receivers.values())
    hub.stop_workers()

    erasure = erased_here(jobs.start(reference_ids=["your-user-123"], destinations="all"), monkeypatch)
    assert erasure.status == "stopped"
    assert "allow s3:ListBucket on the bucket and s3:DeleteObject" in erasure.problem
    assert "use a SAS token with the permissions rcwdl" in erasure.problem  # both at once, not one after the other
    assert len(receivers["s3"].event_ids()) == len(HERS) + len(HIS)

    services.update_destination(places["s3"], credentials=dict(key_that_erases(receivers["s3"])))
    erasure = erased_here(jobs.resume(erasure), monkeypatch)
    assert (erasure.status, "s3" in erasure.problem) == ("stopped", False)
    assert receivers["s3"].event_ids() == his

    erasure = erased_here(jobs.resume(erasure, skip_failed=True), monkeypatch)
    assert told(erasure) == {"s3": ("erased", OBJECTS), "azureblob": ("left_out", 0)}
    assert len(receivers["azureblob"].event_ids()) == len(HERS) + len(HIS)
    assert not Event.objects.exclude(user_id=BEN).exists()


def test_the_job_stays_in_a_workers_hands_while_a_destination_takes_its_time(
    hub: Hub, request: pytest.FixtureRequest
) -> None:
    receiver: Any = erasing("postgres", request.getfixturevalue)
    with receiver.place.proxy() as proxy:
        proxy.fall_silent()
        receiver.config = {**receiver.config, "host": "127.0.0.1", "port": proxy.port}
        receiver.set_up(hub)
        jobs.start(user_ids=[ANA], destinations="all")
        hub.worker(CLAIM_LEASE_SECONDS="2", **FAST)
        until(lambda: proxy.connections, what="it erases there")
        begun = Erasure.objects.get()
        until(lambda: Erasure.objects.get().lease_until > begun.lease_until, what="the lease is made longer")

        row = Erasure.objects.get()
        assert (row.stage, row.claimed_by, row.destination_results) == ("elsewhere", begun.claimed_by, {})
