"""Webhook destinations for the tests."""

import base64
from typing import Any

from destinations.adapters.base import Limits, Result
from destinations.adapters.webhook import WebhookAdapter
from destinations.adapters.webhook_config import WebhookConfig, WebhookCredentials
from destinations.egress import EgressPolicy
from destinations.specs import load
from tests.adapters.contract import CANARY, event
from tests.sink import Sink

LOCAL = EgressPolicy(allow=("127.0.0.0/8",))
SECRET = "whsec_" + base64.b64encode(CANARY.encode() + b"-0123456789abcdef").decode()


def make(sink: Sink, path: str = "/hook", limits: Limits | None = None, **values: Any) -> WebhookAdapter:
    """Return an adapter for a path of the sink; ``values`` go to the config or to the credentials."""
    values = {"url": sink.url(path), "ca_certificate": sink.ca_pem, "signing_secret": SECRET, **values}
    return WebhookAdapter(load(WebhookConfig, values), load(WebhookCredentials, values), limits, LOCAL)


def deliver(sink: Sink, path: str = "/hook", limits: Limits | None = None, **values: Any) -> Result:
    adapter = make(sink, path, limits, **values)
    (result,) = adapter.deliver([event()])
    adapter.close()
    return result
