"""The receipt of an erasure: what went, where and when, without anything of the person."""

import hashlib
import json
from datetime import datetime
from typing import Any

from destinations.models import Destination
from webhooks.keeping.erasures.people import person_in
from webhooks.keeping.erasures.tallies import GOT, Said, places_of
from webhooks.models import Erasure

FORM = "terra-hub-erasure/1"
COUNTED = ("events", "payloads", "files", "deliveries", "cancelled", "attempts", "quarantine", "tombstones")


def receipt_for(erasure: Erasure, finished_at: datetime) -> dict[str, Any]:
    """Return what an erasure did; its subject must still be there, to be counted."""
    person = person_in(erasure.subject)
    return {
        "form": FORM,
        "erasure": str(erasure.pk),
        "trigger": erasure.trigger,
        "asked_by": erasure.created_by,
        "asked_at": erasure.created_at.isoformat(),
        "finished_at": finished_at.isoformat(),
        "user_ids": len(person.user_ids),
        "reference_ids": len(person.reference_ids),
        "counts": dict(sorted((dict.fromkeys(COUNTED, 0) | erasure.counts).items())),
        "destinations": _destinations(erasure),
    }


def _destinations(erasure: Erasure) -> list[dict[str, Any]]:
    places = places_of(erasure)
    rows = {str(pk): one for pk, one in Destination.objects.in_bulk(places).items()}
    return [_destination(key, rows.get(key), places[key]) for key in sorted(places)]


def _destination(key: str, row: Destination | None, said: Said) -> dict[str, Any]:
    about = {"id": key, "name": row.name if row else "", "type": row.type if row else ""}
    texts = {name: said.get(name, "") for name in ("status", "detail")}
    return about | texts | {name: said.get(name, 0) for name in (*GOT, "erased")}


def sha256_of(receipt: dict[str, Any]) -> str:
    """Return the SHA-256, in hex, of a receipt's canonical JSON: sorted names, no spaces, UTF-8."""
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
