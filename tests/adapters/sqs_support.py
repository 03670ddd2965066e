"""SQS destinations for the tests, set up as an operator would: with the policies of the set-up text."""

import json
import re
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from destinations.adapters.base import Limits, Message, Result
from destinations.adapters.sqs import SqsAdapter
from destinations.adapters.sqs_config import SqsConfig
from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity
from destinations.specs import load
from tests.adapters.contract import CANARY, AdapterContract, Site, Stored, event
from tests.services.iam import ACCOUNT, Identity, Policy
from tests.services.ministack import Queue, SqsServer
from tests.services.seaweedfs import REGION, Key, SeaweedServer

NOBODY = "http://127.0.0.1:59999"  # nothing listens there
LOCAL = EgressPolicy(allow=("127.0.0.0/8",))
SECRET = f"{CANARY}/of+a+user"


class SqsContract(AdapterContract):
    """The suite for a queue; ``sqs`` is the server."""

    def test_no_secret_is_shown_anywhere(self, site: Site, sqs: SqsServer) -> None:
        assert sqs.gate  # a user whose secret holds the canary can be made there only
        super().test_no_secret_is_shown_anywhere(site)


def config_of(server: SqsServer, queue: Queue, /, **values: Any) -> dict[str, Any]:
    """Return the config of a destination for ``queue``."""
    return {"queue": queue.url, "region": server.region, "endpoint_url": server.endpoint_url, **values}


def policies(config: Mapping[str, Any], identity: HubIdentity | None = None) -> list[Policy]:
    """Return the policies in the set-up text, as an operator would paste them: rights, then trust."""
    text = SqsAdapter.setup_for(load(SqsConfig, config), identity or HubIdentity())
    found = [json.loads(one) for one in re.findall(r"^\{\n.*?^\}", text, re.MULTILINE | re.DOTALL)]
    return sorted(found, key=lambda policy: "Principal" in policy["Statement"][0])


def key_for(server: SqsServer, config: Mapping[str, Any], secret: str = SECRET) -> dict[str, str]:
    """Make a user with exactly the rights of the set-up text; return a destination's credentials.

    On an existing server (HUB_TEST_SQS) nobody can be made: there it is the administrator.
    """
    if server.gate_or_none is None:
        return {"access_key_id": server.access_key, "secret_access_key": server.secret}
    key = server.gate.directory.add_user("hub-sender", policies(config)[0], secret)
    return {"access_key_id": key, "secret_access_key": secret}


def make(
    server: SqsServer,
    queue: Queue,
    /,
    *,
    credentials: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    identity: HubIdentity | None = None,
    **values: Any,
) -> SqsAdapter:
    """Return an adapter; without ``credentials``, for a new user with the rights of the set-up text."""
    config = config_of(server, queue, **values)
    held = key_for(server, config) if credentials is None else credentials
    adapter = SqsAdapter(load(SqsConfig, config), load(SqsAdapter.credentials_spec, held), limits, LOCAL)
    adapter.identity = identity or HubIdentity()
    return adapter


def staging(store: SeaweedServer, bucket: str) -> dict[str, str]:
    """Return the config that puts payloads into a bucket of ``store``."""
    return {"s3_bucket": bucket, "s3_endpoint_url": store.endpoint, "s3_region": REGION}


def known_to_both(server: SqsServer, key: Key, config: Mapping[str, Any]) -> dict[str, str]:
    """Let a user of the object store send to the queue too, with the rights of the set-up text."""
    arn = f"arn:aws:iam::{ACCOUNT}:user/{key.id}"
    server.gate.directory.users[key.id] = Identity(arn, key.secret, policies(config)[0])
    return {"access_key_id": key.id, "secret_access_key": key.secret}


def deliver(adapter: SqsAdapter, *messages: Message) -> Sequence[Result]:
    """Deliver ``messages``, by default a new one, and close the adapter."""
    results = adapter.deliver(list(messages) or [event()])
    adapter.close()
    return results


def site_of(server: SqsServer, queue: Queue, config: dict[str, Any], credentials: dict[str, str], **about: Any) -> Site:
    values: dict[str, Any] = {
        "kind": SqsAdapter,
        "config": config,
        "credentials": credentials,
        "policy": LOCAL,
        "read_back": lambda: [stored(received) for received in queue.messages()],
        "repeats_leave_one": False,
        "unreachable": {"endpoint_url": NOBODY, "queue": f"{NOBODY}/000000000000/{queue.name}"},
        "wrong_config": {},
        "wrong_credentials": {"secret_access_key": f"{CANARY}-which-is-another"},
        "wrong_step": "authenticate",
    }
    return Site(**{**values, **about})


def stored(received: Mapping[str, Any]) -> Stored:
    """Return which event a received message is; a healthcheck is the event itself."""
    event_id = received["MessageAttributes"]["terra-event-id"]["StringValue"]
    body = json.loads(received["Body"])
    if body["type"] == "healthcheck":
        return Stored(event_id, received["Body"].encode())
    assert body["payload_reference"] == event_id
    return Stored(event_id)


def downloaded(received: Mapping[str, Any]) -> bytes:
    """Return what the link in a received message opens."""
    with urllib.request.urlopen(json.loads(received["Body"])["url"], timeout=10) as answer:
        return bytes(answer.read())
