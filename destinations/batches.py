"""Many destinations at once, all of them or none."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

from django.db import transaction

from destinations import rules
from destinations.rules import NAME_TAKEN, Refused, addresses_remembered, together
from destinations.services import Created, keep, prepared

MOST = 100
LOOKUPS_AT_ONCE = 20  # a name that nobody answers for takes ``rules.LOOKUP_S``, and there may be a hundred


def create_destinations(entries: Sequence[Mapping[str, Any]], by: Any = None) -> list[Created]:
    """Make 1 to 100 destinations in one transaction; raise ``Refused`` with the errors of all of them.

    An entry has what ``services.prepared`` takes; the path of an error begins with its place: ``destinations.3.``.
    """
    if not 1 <= len(entries) <= MOST:
        raise Refused({"destinations": [f"Send 1 to {MOST} destinations at once."]})
    made: list[Created] = []
    with addresses_remembered():
        look_up_ahead(entries)
        drafts = [partial(_draft, made, number, entry, by) for number, entry in enumerate(entries)]
        together(*drafts, partial(_refuse_twins, entries))
    with transaction.atomic():
        for number, created in enumerate(made):
            with _at_place(number):
                keep(created, by)
    return made


def look_up_ahead(entries: Any) -> None:
    """Judge the addresses of all configs, to have the verdicts ready within ``addresses_remembered``.

    ``entries`` may be anything: what is no list of objects is refused by somebody else.
    """
    found = [one for one in entries if isinstance(one, Mapping)] if isinstance(entries, list) else []
    with ThreadPoolExecutor(LOOKUPS_AT_ONCE) as pool:
        # A context can be entered once only: each thread has a copy, whose verdicts are the same.
        for one in found[:MOST]:
            pool.submit(copy_context().run, rules.look_up_ahead, one.get("type"), one.get("config"))


def _draft(made: list[Created], number: int, entry: Mapping[str, Any], by: Any) -> dict[str, Any]:
    with _at_place(number):
        made.append(prepared(**entry, by=by))
    return {}


def _refuse_twins(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Refuse a name that an earlier entry has: no look at the database would find it."""
    names = [entry.get("name") for entry in entries]
    twins = [number for number, name in enumerate(names) if name in names[:number]]
    if twins:
        raise Refused({f"destinations.{number}.name": [NAME_TAKEN] for number in twins})
    return {}


@contextmanager
def _at_place(number: int) -> Iterator[None]:
    """Say in an error which entry it is about."""
    try:
        yield
    except Refused as error:
        errors = {f"destinations.{number}.{path}".rstrip("."): texts for path, texts in error.errors.items()}
        raise Refused(errors, error.code, error.hint) from error
