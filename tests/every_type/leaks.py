"""What may be shown nowhere: the credentials of destinations."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.every_type.receivers import Receiver
from tests.hub import Process
from webhooks.models import Attempt

# Parts of a service account's key that are no secret.
_OPEN = {"access_key_id"}


def secrets_of(*receivers: Receiver) -> list[str]:
    """Return every secret of the receivers' credentials; of a private key, its lines."""
    return [text for receiver in receivers for name, held in receiver.credentials.items() if name not in _OPEN
            for text in _texts(held)]  # fmt: skip


def _texts(held: Any) -> Iterator[str]:
    if isinstance(held, str):
        yield held
    elif "private_key" in held:
        yield from held["private_key"].splitlines()[1:-2]
    else:
        yield from held.values()


def shown_in(worker: Process, secrets: Sequence[str]) -> list[str]:
    """Return the secrets that stand in the delivery log, or in the worker's output."""
    assert secrets
    texts = [json.dumps(row, default=str) for row in Attempt.objects.values()] + [worker.output()]
    return sorted({secret for secret in secrets for text in texts if secret in text})
