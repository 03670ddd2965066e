"""From an event to a message of SQS: its body, its size, and how messages share a request.

Limits: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from destinations.adapters.base import Message
from destinations.adapters.objects import segment

MAX_ENTRIES = 10  # of one request
BATCH_BYTES = 256 * 1024  # of one request, unless a single message needs more
LARGEST_MESSAGE = 1024 * 1024  # that any queue takes
HEALTHCHECK = "healthcheck"
EVENT_ID = "terra-event-id"  # a message attribute: a healthcheck's body has no room for an id
NO_USER = "no-user"  # the group of events without a user

_NOT_PLAIN = re.compile(r"[^\t\n\r\x20-\x7e]")


class Unsendable(ValueError):
    """An event that no message can carry; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message, ready to be sent."""

    position: int  # of its event in the batch
    event_id: str
    body: str  # ASCII
    group: str = ""  # FIFO queues only

    @property
    def size(self) -> int:
        """Return what counts against the limits: the body and the attribute's name, type and value, in bytes."""
        return len(self.body) + len(EVENT_ID) + len("String") + len(self.event_id)

    def as_request(self) -> dict[str, Any]:
        """Return the entry of a SendMessageBatch request."""
        attribute = {"DataType": "String", "StringValue": self.event_id}
        made = {"Id": str(self.position), "MessageBody": self.body, "MessageAttributes": {EVENT_ID: attribute}}
        if not self.group:
            return made
        return made | {"MessageGroupId": self.group, "MessageDeduplicationId": self.event_id}


def pointer_body(message: Message, url: str, expires_in: int) -> str:
    """Return the ``s3_payload`` message that stands for an event: a link in place of the payload."""
    pointer: Mapping[str, Any] = {
        "type": "s3_payload",
        "status": "success",
        "url": url,
        "expires_in": expires_in,  # seconds
        "payload_reference": message.event_id,
        "event_type": message.type,
        "user_id": message.user_id,
        "reference_id": message.reference_id,
    }
    return json.dumps(pointer, separators=(",", ":"))


def healthcheck_body(message: Message) -> str:
    r"""Return a healthcheck as it was received, with ``\u`` escapes for what SQS or ASCII does not have.

    Such characters stand inside strings only, if the body is JSON; so the JSON says the same.
    Raises ``Unsendable`` for a body that is no text.
    """
    try:
        text = message.body.decode()
    except UnicodeDecodeError as error:
        raise Unsendable("The body is not UTF-8, so it is no JSON that a message could carry.") from error
    if not text:
        raise Unsendable("The body is empty; SQS takes no empty message.")
    return _NOT_PLAIN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def group_of(user_id: str | None) -> str:
    """Return the group of a FIFO queue that an event belongs to: its user, in the form that object keys have."""
    return segment(user_id, "u") if user_id else NO_USER


def packed(entries: Iterable[Entry], most_bytes: int = BATCH_BYTES) -> Iterator[Sequence[Entry]]:
    """Yield ``entries`` in order, as many together as one request takes."""
    together: list[Entry] = []
    size = 0
    for entry in entries:
        if together and (len(together) == MAX_ENTRIES or size + entry.size > most_bytes):
            yield together
            together, size = [], 0
        together.append(entry)
        size += entry.size
    if together:
        yield together
