"""What else may name a person: links between ids, replays' filters, the admin's log, notices, stored answers."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db.models import Q

from destinations.crypto import SealError
from destinations.models import StoredAnswer
from webhooks.keeping.erasures.matching import MASK, Ids
from webhooks.keeping.erasures.people import Person
from webhooks.models import Replay, UserLink

# Texts that are written for people, and addresses that somebody logged in at: an id is replaced in them.
_TEXTS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("admin.LogEntry", ("object_repr", "change_message")),
    ("destinations.Notice", ("text", "problem")),
    ("axes.AccessAttempt", ("get_data", "post_data", "path_info")),
    ("axes.AccessLog", ("path_info",)),
)
_OF_REPLAYS = ("user_id", "reference_id")


def remove(person: Person, answers: Sequence[Any]) -> dict[str, int]:
    """Remove or mask it all; return how many rows of each kind. The caller holds the transaction.

    ``answers`` are the stored answers that ``answers_naming`` has found before.
    """
    ids = person.ids
    return {
        "user_links": _links(person),
        "replays_masked": _replays(ids),
        "texts_masked": sum(_masked(name, columns, ids) for name, columns in _TEXTS),
        "answers": int(StoredAnswer.objects.filter(pk__in=answers).delete()[0]),
    }


def _links(person: Person) -> int:
    users = person.user_ids
    return int(UserLink.objects.filter(Q(old_user_id__in=users) | Q(new_user_id__in=users)).delete()[0])


def _replays(ids: Ids) -> int:
    """Mask the filters that name an id. A replay that is under way then finds nothing more."""
    count = 0
    named = Q(selection__has_any_keys=list(_OF_REPLAYS))
    for row in Replay.objects.select_for_update().filter(named).only("pk", "selection").order_by("pk"):
        masked = {key: MASK if key in _OF_REPLAYS and said in ids.ids else said for key, said in row.selection.items()}
        if masked != row.selection:
            row.selection = masked
            row.save(update_fields=["selection"])
            count += 1
    return count


def _masked(name: str, columns: tuple[str, ...], ids: Ids) -> int:
    count = 0
    for row in _rows_with(name, columns, ids):
        before = {column: getattr(row, column) or "" for column in columns}
        after = {column: ids.masked(text) for column, text in before.items()}
        if after != before:
            type(row)._default_manager.filter(pk=row.pk).update(**after)
            count += 1
    return count


def _rows_with(name: str, columns: tuple[str, ...], ids: Ids) -> Iterator[Any]:
    """Yield the rows in one of whose texts an id may stand, by what the database can see."""
    wanted = Q(pk__in=[])
    for column in columns:
        for one in ids.ids:
            wanted |= Q(**{f"{column}__contains": one})
    yield from apps.get_model(name)._default_manager.filter(wanted)


def answers_naming(person: Person) -> list[Any]:
    """Return the keys of stored answers that name a person: sealed, a day old at most. Their requests would run anew.

    Each has to be opened, which takes long where there are many: no transaction should be held meanwhile.
    """
    ids = person.ids
    named = []
    for row in StoredAnswer.objects.exclude(answer="").iterator(chunk_size=200):
        try:
            said = json.dumps(row.answer, default=str)
        except SealError:
            continue  # of a key that is gone: nobody reads it any more
        if ids.in_body(said.encode()):
            named.append(row.pk)
    return named
