"""SQS through the whole hub: posted events become messages whose links give the exact bytes."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from destinations import services
from destinations.models import Destination
from tests.adapters.sqs_support import config_of, key_for, stored
from tests.delivering.log import attempts, statuses
from tests.hub import SAMPLES, Hub, until
from tests.services.iam import ACCOUNT, Role, allow
from tests.services.ministack import Queue, SqsServer

pytestmark = pytest.mark.django_db(transaction=True)

HUB_SECRET = "the-hubs-own-secret"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/terra-hub-end-to-end"


def destination_of(hub: Hub, config: dict[str, Any], credentials: dict[str, str]) -> Destination:
    made = services.create_destination(
        type="sqs", name="queue", sources=[hub.source.slug], config=config, credentials=credentials
    )
    return made.destination


def check_messages(hub: Hub, queue: Queue, posted: dict[str, bytes]) -> None:
    """Follow every link, and find every body as it was posted."""
    received = {stored(one).event_id: one for one in queue.messages()}
    assert sorted(received) == sorted(posted)
    for event_id, body in posted.items():
        said = json.loads(received[event_id]["Body"])
        if said["type"] == "healthcheck":
            assert received[event_id]["Body"].encode() == body
            continue
        assert said["expires_in"] == 600
        assert said["event_type"] == json.loads(body)["type"]
        answer = hub.server.request("GET", urlsplit(said["url"]).path)
        assert (answer.status, answer.body) == (200, body)


def test_a_role_that_was_set_up_with_the_text_of_the_destination_delivers(
    hub: Hub, sqs: SqsServer, settings: Any
) -> None:
    """The hub's settings, its set-up text, the role's trust, its session: nothing is filled in by the test."""
    queue, directory = sqs.create_queue(fifo=True), sqs.gate.directory
    key = directory.add_user("hub", allow("sts:AssumeRole"), HUB_SECRET, "999999999999")
    identity = {
        "HUB_AWS_ARN": directory.users[key].arn,
        "HUB_AWS_ACCESS_KEY_ID": key,
        "HUB_AWS_SECRET_ACCESS_KEY": HUB_SECRET,
        "HUB_AWS_STS_ENDPOINT": sqs.gate.url,
    }
    for name, value in identity.items():
        setattr(settings, name, value)
    destination = destination_of(hub, config_of(sqs, queue, auth="role", role_arn=ROLE_ARN), {})
    found = re.findall(r"^\{\n.*?^\}", services.setup_text(destination), re.MULTILINE | re.DOTALL)
    documents = sorted(map(json.loads, found), key=lambda one: "Principal" in one["Statement"][0])
    directory.roles[ROLE_ARN] = Role(trust=documents[1], policy=documents[0])

    steps = {step.name: step.status.value for step in services.check_destination(destination)}
    assert steps["external id"] == "passed"
    hub.post(SAMPLES["daily"])
    worker = hub.worker(PUBLIC_URL=f"http://127.0.0.1:{hub.server.port}", **identity)
    until(lambda: statuses() == {"delivered": 1})
    assert len(queue.messages()) == 1
    assert HUB_SECRET not in worker.output()


def test_what_waits_goes_out_once_the_right_is_given_back(hub: Hub, sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    config = config_of(sqs, queue)
    held = key_for(sqs, config)
    user = sqs.gate.directory.users[held["access_key_id"]]
    policy, user.policy = user.policy, allow("sqs:ReceiveMessage")
    destination_of(hub, config, held)
    posted = {hub.post(body).json["event_id"]: body for body in (SAMPLES["sleep"], SAMPLES["daily"])}
    hub.worker(PUBLIC_URL=f"http://127.0.0.1:{hub.server.port}", RETRY_TIME_SCALE="0.001")
    until(lambda: attempts(error_code="AccessDenied"))
    user.policy = policy
    until(lambda: statuses() == {"delivered": 2})
    check_messages(hub, queue, posted)
