"""Each cause of failure has a name of its own in the delivery log; once it is mended, a resend delivers all."""

import json
import time
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from destinations import services
from destinations.models import Destination
from tests.adapters.sqs_support import downloaded
from tests.delivering.log import attempts, numbers_are_whole, statuses
from tests.every_type.leaks import secrets_of, shown_in
from tests.every_type.receivers import SqsReceiver, environment_of
from tests.every_type.troubles import TROUBLES, WRONG, Trouble
from tests.hub import SAMPLES, Hub, until
from tests.services.iam import Refused
from tests.services.ministack import SqsServer
from webhooks.keeping.links import link_key, token_for
from webhooks.keeping.replay import resend
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databaseless]

FAILING = 3
FAST = "0.001"  # of the schedule's seconds


def post(hub: Hub, trouble: Trouble, *numbers: int) -> set[str]:
    return {hub.post(trouble.body % number).json["event_id"] for number in numbers}


def wait_for(what: str, **wanted: int) -> None:
    """Wait until the deliveries have these statuses; where they never have, say what the log says."""
    try:
        until(lambda: statuses() == wanted)
    except AssertionError:
        log = [(one.delivery_id, one.number, one.outcome, one.error_code, one.error_detail) for one in attempts()]
        pytest.fail(f"{what}: {statuses()}, {log}")


def now(destination: Destination) -> Destination:
    return Destination.objects.get(pk=destination.pk)


@pytest.mark.parametrize("name", TROUBLES)
def test_a_cause_is_named_in_the_log_and_a_resend_delivers_once_it_is_mended(
    hub: Hub, request: pytest.FixtureRequest, name: str
) -> None:
    trouble = TROUBLES[name](request.getfixturevalue)
    destination = trouble.receiver.set_up(hub, schedule=[1])
    trouble.prepare(destination)
    worker = hub.worker(**environment_of(hub, trouble.receiver), RETRY_TIME_SCALE=FAST)
    post(hub, trouble, 0)
    wait_for("it works at first", delivered=1)

    trouble.spoil(now(destination))
    failing = post(hub, trouble, *range(1, 1 + FAILING))
    wait_for("what fails becomes a dead letter", delivered=1, dead=FAILING)
    failed = attempts(delivery__status="dead")
    assert {attempt.error_code for attempt in failed} == {trouble.code}
    for attempt in failed:
        assert attempt.error_detail
        assert trouble.hint in attempt.hint
    assert set(Delivery.objects.filter(status="dead").values_list("last_error_code", flat=True)) == {trouble.code}

    trouble.mend(now(destination))
    assert resend(list(Delivery.objects.filter(status="dead").values_list("pk", flat=True))) == FAILING
    wait_for("all that failed is delivered", delivered=1 + FAILING)
    assert trouble.receiver.event_ids() >= failing
    assert numbers_are_whole()
    assert shown_in(worker, [*secrets_of(trouble.receiver), WRONG, "canary-of-", "canary-token"]) == []


def test_a_full_queue_is_left_alone_by_name_until_its_readers_have_caught_up(hub: Hub, sqs: SqsServer) -> None:
    receiver = SqsReceiver(sqs, sqs.create_queue())
    destination = receiver.set_up(hub)
    full = Refused(403, "OverLimit", "Too many messages are in flight.")
    sqs.gate.faults.refusals["sqs:SendMessageBatch"] = [full] * 100
    hub.worker(**environment_of(hub, receiver))
    events = {hub.post(SAMPLES[name]).json["event_id"] for name in ("sleep", "daily")}
    until(lambda: now(destination).pause_reason == "retry_after", what="the destination is paused")
    until(lambda: not Delivery.objects.exclude(claimed_by=""), what="no try is under way")
    (code,) = {attempt.error_code for attempt in attempts()}
    assert (code, attempts()[0].hint) == ("OverLimit", "Let its readers catch up.")
    assert statuses() == {"pending": 2}

    sqs.gate.faults.refusals.clear()
    services.resume(now(destination))
    assert resend(list(Delivery.objects.values_list("pk", flat=True))) == 2
    wait_for("what waited is delivered", delivered=2)
    assert receiver.event_ids() == events


def test_a_link_that_is_read_too_late_says_so_and_a_resend_gives_one_that_opens(hub: Hub, sqs: SqsServer) -> None:
    receiver = SqsReceiver(sqs, sqs.create_queue())
    destination = receiver.set_up(hub)
    hub.worker(**environment_of(hub, receiver))
    event_id = UUID(hub.post(SAMPLES["sleep"]).json["event_id"])
    wait_for("the first message", delivered=1)
    (message,) = receiver.queue.messages()

    # What the message's link is once its time is over: the shortest lifetime is a minute.
    ended = token_for(event_id, destination.pk, link_key(destination), int(time.time()) - 1)
    folder = urlsplit(json.loads(message["Body"])["url"]).path.rpartition("/")[0]
    answer = hub.server.request("GET", f"{folder}/{ended}")
    assert (answer.status, answer.json["code"]) == (410, "link_expired")
    assert "Ask for a new one" in answer.json["detail"]

    resend([Delivery.objects.get().pk])
    until(lambda: len(receiver.queue.messages()) == 2)
    assert downloaded(receiver.queue.seen[1]) == SAMPLES["sleep"]
