"""A worker that is killed in the middle of an erasure: another one finishes it, and counts nothing twice."""

import pytest
from django.db import transaction

from destinations.models import Destination
from tests.api_support import make_delivery, make_destination
from tests.erasures.stage import (
    BOB,
    IDS,
    NEW,
    OLD,
    REFERENCE,
    body_of,
    carried_on,
    files_that_name,
    kept_event,
    payload_folder,
    reauth,
    refused,
    rows_that_name,
)
from tests.hub import Hub, until
from webhooks.keeping.erasures import jobs
from webhooks.models import Erasure, Event, QuarantinedRequest

QUICK = {"CLAIM_LEASE_SECONDS": "1", "COMMIT_TIMEOUT_SECONDS": "0.3", "LOG_LEVEL": "DEBUG"}


@pytest.fixture
def elsewhere(hub: Hub) -> Destination:
    return hub.webhook("http://127.0.0.1:18999/hook")


def test_killed_at_any_place_it_is_finished_with_the_same_counts(hub: Hub, elsewhere: Destination) -> None:
    with transaction.atomic():
        _much_of_alice(hub, elsewhere, make_destination("other"))
    bob = kept_event(BOB, body=body_of(BOB, reference="bob"), reference_id="bob", source=hub.source)
    row = jobs.start(reference_ids=[REFERENCE], destinations=[elsewhere.pk])
    for place in ("erasure_step:7", "erasure_files:2"):  # before a commit; between files and their rows
        worker = hub.worker(HUB_FAILPOINT=place, **QUICK)
        until(lambda worker=worker: not worker.alive, what=f"killed at {place}")
        assert Erasure.objects.get(pk=row.pk).status == "running"
    until(lambda: carried_on(row, "another").status == "done", what="finished by another worker, once the lease ends")

    expected = {"events": 241, "payloads": 241, "files": 24, "deliveries": 480, "cancelled": 240, "quarantine": 60}
    assert {name: row.receipt["counts"][name] for name in expected} == expected
    told = {one["name"]: (one["status"], one["delivered"]) for one in row.receipt["destinations"]}
    assert told["other"] == ("not_asked", 240)
    assert row.receipt["counts"]["tombstones"] == 241 + 2
    assert rows_that_name(*IDS) == []
    assert files_that_name(payload_folder(), *IDS) == []
    assert files_that_name(hub.folder, *IDS) == []  # the workers' logs
    assert list(Event.objects.values_list("pk", flat=True)) == [bob.pk]
    assert QuarantinedRequest.objects.count() == 60


def _much_of_alice(hub: Hub, to: Destination, other: Destination) -> None:
    """Write so much that every kind of step is made more than once."""
    kept_event(NEW, body=reauth(), type="user_reauth", source=hub.source)
    for number in range(240):
        event = kept_event((OLD, NEW)[number % 2], in_store=number % 20 < 2, source=hub.source)
        make_delivery(event, to)
        make_delivery(event, other, "delivered")
    for number in range(120):
        who = (NEW, BOB)[number % 2]
        refused(hub.source, body_of(who, reference=f"of-{who}"))
