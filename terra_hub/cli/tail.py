"""``hub events tail``: new events and attempts as they come, until Ctrl-C."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import InterfaceError, OperationalError

from terra_hub.cli.base import manner
from terra_hub.cli.finding import DestinationName, EventType, SourceName, UserId, destination_id
from terra_hub.cli.output import print_line, say
from webhooks.live.rows import Row, Wanted, Window
from webhooks.sql import renew_connections

POLL_SECONDS = 1.0


def tail(type: EventType = "", user: UserId = "", source: SourceName = "", destination: DestinationName = "") -> None:
    """Print new events and attempts as they come, until Ctrl-C; with --json, one JSON object a line."""
    wanted = Wanted(type=type, user_id=user, source=source, destination=str(destination_id(destination) or ""))
    try:
        for row in _new(wanted):
            print_line(json.dumps(_as_json(row), cls=DjangoJSONEncoder) if manner().json else _words(row))
            sys.stdout.flush()  # else a pipe gets nothing until much has come
    except KeyboardInterrupt:
        return  # as asked for


def _new(wanted: Wanted) -> Iterator[Row]:
    """Yield what is new for ever; what one look leaves out is said.

    The first look goes back some seconds, for what is still on its way to its commit: what it finds is not new.
    """
    window, following = Window(), False
    while True:
        try:
            found = window.look()
        except (OperationalError, InterfaceError) as error:
            say(f"The database does not answer ({type(error).__name__}): trying on.")
            renew_connections()
        else:
            if following:
                yield from filter(wanted.takes, found.rows)
                if found.left_out:
                    say(f"{found.left_out} more came at once: hub events list shows all.")
            else:
                say("Following. Ctrl-C ends it.")
                following = True
        time.sleep(POLL_SECONDS)


def _words(row: Row) -> str:
    """Return one line: when, what, whose, and where it goes or went."""
    shown = row.shown
    states = ", ".join(f"{one['name']}: {one['label'].lower()}" for one in shown["states"])
    more = f" and {shown['more']} more" if shown["more"] else ""
    what = shown.get("says", "event")
    about = " ".join(filter(None, (shown["type"], shown["provider"], shown["user"])))
    return f"{row.at:%H:%M:%S}  {what:<40}  {about}  {states or 'no destination'}{more}"


def _as_json(row: Row) -> dict[str, Any]:
    kind, _, key = row.key.partition(":")
    about = {"at": row.at, "type": row.type, "provider": row.shown["provider"], "user_id": row.user_id,
             "source": row.source}  # fmt: skip
    states = [
        {"delivery_id": one["delivery"], "destination": one["name"], "state": one["label"]}
        for one in row.shown["states"]
    ]
    if kind == "e":
        return {"kind": "event", "event_id": key, **about, "deliveries": states}
    return {"kind": "attempt", "attempt_id": int(key), **about, **states[0], "says": row.shown["says"]}
