"""The event that a check sends, where a check may leave one."""

import json
from datetime import UTC, datetime

from destinations.adapters.base import Message
from destinations.ids import uuid7


def test_message() -> Message:
    """Return an event in the shape of Terra's ``healthcheck`` that says that it is a test."""
    now = datetime.now(UTC)
    body = {
        "type": "healthcheck",
        "status": "normal",
        "creation_timestamp": now.isoformat(sep=" "),
        "trend_percentage": 0.0,
        "sent_webhooks_last_hour": 0,
        "message": "A test of the Terra destination hub; no data of anybody.",
    }
    return Message(str(uuid7()), "healthcheck", json.dumps(body).encode(), now)
