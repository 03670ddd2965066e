"""``Idempotency-Key``: a request that comes again gets the answer of the first time, and is not carried out again.

Kept are the answers of what was done (2xx). A request that was refused did nothing: its key is free again, for the
same request after the cause is gone, or for a corrected one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from destinations.access.answers import KEPT
from destinations.fields import SealedField
from destinations.models import StoredAnswer
from destinations.problems import KeyInUse, KeyReused

# Of what cannot be rolled back: the longest takes 15 s; after this it is taken for broken off, and may be done again.
UNDER_WAY = timedelta(minutes=2)
LONGEST_KEY = 255
_SALT = "destinations.access.idempotency"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that carries a key: who sent it, and what it was, as a keyed hash that tells nothing of it."""

    principal: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is kept: its body is JSON text."""

    status: int
    body: str
    headers: dict[str, str]

    @property
    def done(self) -> bool:
        """Tell whether the request did something."""
        return 200 <= self.status < 300


def fingerprint_of(method: str, path: str, query: str, body: bytes) -> str:
    """Return an HMAC of a request, in hex: a body may hold secrets, which nobody can guess at without the hub's key."""
    head = json.dumps([method, path, query]).encode()
    return salted_hmac(_SALT, head + b"\n" + body, algorithm="sha256").hexdigest()


def is_key(text: str) -> bool:
    """Tell whether a text may be a key: 1 to 255 printable ASCII characters."""
    return 0 < len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()


def answer_of_before(asked: Asked) -> Kept | None:
    """Return what the request was answered before; raise ``KeyReused`` and ``KeyInUse``; ``None``: it is new."""
    row: StoredAnswer | None = StoredAnswer.objects.filter(principal=asked.principal, key=asked.key).first()
    if row is None or _over(row, timezone.now()):
        return None
    if row.fingerprint != asked.fingerprint:
        raise KeyReused
    if row.status is None:
        raise KeyInUse(wait=max(1, ceil((row.created_at + UNDER_WAY - timezone.now()).total_seconds())))
    return Kept(row.status, row.answer["body"], dict(row.answer["headers"]))


def together(asked: Asked, run: Callable[[], Any], kept_of: Callable[[Any], Kept | None]) -> Any:
    """Run a request and keep its answer, both in one transaction; raise ``KeyInUse`` where a twin was faster.

    A twin at the same moment waits for this transaction at the unique index (PostgreSQL) or at its start (SQLite).
    """
    with transaction.atomic():
        row = _taken(asked)
        answer = run()
        kept = kept_of(answer)
        if kept and kept.done:
            _keep(row, kept)
        else:
            transaction.set_rollback(True)
    return answer


def apart(asked: Asked, run: Callable[[], Any], kept_of: Callable[[Any], Kept | None]) -> Any:
    """Run what cannot be rolled back: the key is taken first, and the answer kept afterwards.

    Where the hub dies between the two, the key stays taken for ``UNDER_WAY``.
    """
    row = _taken(asked)
    try:
        answer = run()
        kept = kept_of(answer)
    except BaseException:
        StoredAnswer.objects.filter(pk=row.pk).delete()
        raise
    if kept and kept.done:
        _keep(row, kept)
    else:
        StoredAnswer.objects.filter(pk=row.pk).delete()
    return answer


def _over(row: StoredAnswer, now: datetime) -> bool:
    return row.created_at < now - (UNDER_WAY if row.status is None else KEPT)


def _taken(asked: Asked) -> StoredAnswer:
    """Take a key for a request; raise ``KeyInUse`` where a twin took it since it was looked for."""
    held = StoredAnswer.objects.filter(principal=asked.principal, key=asked.key)
    row = StoredAnswer(principal=asked.principal, key=asked.key, fingerprint=asked.fingerprint)
    try:
        with transaction.atomic():
            for old in held.only("pk", "status", "created_at"):
                if _over(old, timezone.now()):
                    held.filter(pk=old.pk, status=old.status).delete()
            row.save(force_insert=True)
    except IntegrityError as error:
        raise KeyInUse(wait=1) from error
    return row


def _keep(row: StoredAnswer, kept: Kept) -> None:
    # By an update: a row that was taken for broken off meanwhile is somebody else's, and does not come back.
    row.answer = {"body": kept.body, "headers": kept.headers}
    field = StoredAnswer._meta.get_field("answer")
    assert isinstance(field, SealedField)  # noqa: S101  # for mypy
    StoredAnswer.objects.filter(pk=row.pk).update(status=kept.status, answer=field.pre_save(row, add=False))
